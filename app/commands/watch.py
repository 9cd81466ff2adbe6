"""``nixery watch``: follow a build of a running server."""

import sys
import threading
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import typer
from pydantic import BaseModel

from app.builder.nix.binary_cache.exchange import shown
from app.commands.exit_status import ERROR
from app.commands.failures import exit_on_errors
from app.commands.terminal import ProgressLine
from app.errors import OperatorError
from app.settings.loading import load_settings
from app.system.blocking import blocking
from app.system.http_clients import client as http_client
from app.system.web_address import is_web_address
from app.text.sanitize import one_line

_INTERVAL_SECONDS = 1.0
_HTTP_SECONDS = 30
_ATTEMPTS = 5
_LINE_LIMIT = 500
_RUNNING = "running"
_FAILED = "failed"


class Page(BaseModel):
    """The fields of a build's page that are shown."""

    id: str
    image: str
    state: str
    stage: str
    message: str
    seconds: float
    failure_log: list[str]
    log: list[str]


class CannotWatch(OperatorError):
    """The build cannot be followed; the message has the address and the reason."""


@blocking
def _pause() -> None:
    threading.Event().wait(_INTERVAL_SECONDS)


def command(
    build: Annotated[
        str,
        typer.Argument(
            metavar="URL|ID",
            help="The address of a build's page, as the server prints it; or its"
            " identifier, at the server of the settings.",
        ),
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each new state as a line of JSON.")
    ] = False,
) -> None:
    """Follow a build of a running server until it ends, and print its log.

    The exit status is 1 if the build fails, or the server cannot be reached.
    """
    with exit_on_errors("watch", interrupted="the build continues"):
        has_failed = watch(address_of(build), as_json=as_json)
    if has_failed:
        raise typer.Exit(ERROR)


def address_of(build: str) -> str:
    """Return the URL of a build's page.  Raises SettingsError, CannotWatch."""
    if "/" not in build:
        settings = load_settings()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"{settings.external_url or f'http://{host}:{settings.port}'}/builds/{build}"
    if not is_web_address(build) or "/builds/" not in urlsplit(build).path:
        raise CannotWatch(f"{one_line(build, _LINE_LIMIT)} is not the address of a build")
    return build


@blocking
def watch(url: str, *, as_json: bool) -> bool:
    """Return whether the build failed.  Raises CannotWatch."""
    line = ProgressLine(sys.stderr)
    before: Page | None = None
    try:
        with http_client(seconds=_HTTP_SECONDS) as client:
            while True:
                page = _read(client, url)
                if page != before:
                    line.clear()
                    _print(page, before, as_json=as_json)
                if page.state != _RUNNING:
                    return page.state == _FAILED
                if line.is_due():
                    line.show(f"{page.image}: {page.stage}, {page.seconds:.0f} s")
                before = page
                _pause()
    finally:
        line.clear()


@blocking
def _read(client: httpx.Client, url: str) -> Page:
    """Read the page; repeat failed requests, because a server may restart.  Raises CannotWatch."""
    reason = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            _pause()
        try:
            response = client.get(url, headers={"accept": "application/json"})
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            continue
        if response.status_code == httpx.codes.NOT_FOUND:
            raise CannotWatch(f"{shown(url)}: no such build; the server keeps its latest builds")
        if response.is_success:
            try:
                return Page.model_validate_json(response.content)
            except ValueError:
                raise CannotWatch(f"{shown(url)} is not the page of a build") from None
        reason = f"the server responded with {response.status_code}"
    raise CannotWatch(f"{shown(url)}: {reason}; is the server running, and is this its address?")


def _print(page: Page, before: Page | None, *, as_json: bool) -> None:
    if as_json:
        lines = [page.model_dump_json()]
    else:
        lines = added(before.log if before else [], page.log)
        if page.state == _FAILED:
            lines += [*page.failure_log, f"{page.image}: {page.message}"]
        elif page.state != _RUNNING:
            lines.append(f"{page.image}: built in {page.seconds:.0f} s")
        lines = [one_line(text, _LINE_LIMIT) for text in lines]
    sys.stdout.write("".join(f"{text}\n" for text in lines))
    sys.stdout.flush()


def added(seen: Sequence[str], log: Sequence[str]) -> list[str]:
    """Return the lines of a log that are new; the log has only its last lines."""
    for start in range(len(seen)):
        overlap = len(seen) - start
        if list(seen[start:]) == list(log[:overlap]):
            return list(log[overlap:])
    return list(log)
