"""Builds that take minutes, for clients that give up after seconds.

A redirect of a request to itself restarts the client's time-outs.  Go's HTTP client, which
nearly all clients use, follows ten redirects (net/http, ``defaultCheckRedirect``).
"""

import asyncio
import random
import re

from fastapi import Request
from fastapi.responses import Response

from app.builder.images.image import Built
from app.errors import StillBuilding, TooManyRequests
from app.routers.clients import has_header_limit
from app.state import AppState, Pull

_REDIRECT_NUMBER = re.compile(rb"(?:^|&)_w=([0-9]{1,3})(?=&|$)")
_REDIRECT_PARAMETER = re.compile(rb"_w(?:=|$)")
_UNSAFE = re.compile(rb"[^!-~]|[\"<>\\^`{|}]")
_RETRY_SECONDS = 15
_FIND_SECONDS = 0.05
_REFUSED_SECONDS = (0.5, 1.5)


async def await_build(request: Request, job: Pull, state: AppState) -> Built | Response:
    """Return the image, or a redirect after the time that one request waits.

    Raises the error that ended the build; StillBuilding after the last redirect.
    """
    try:
        return await _await_build(request, job, state)
    except StillBuilding:
        raise
    except TooManyRequests:
        # Slow down clients that retry at once, and spread the retries of clients that were
        # refused together.
        await asyncio.sleep(random.uniform(*_REFUSED_SECONDS))  # noqa: S311  # no secret
        raise


async def _await_build(request: Request, job: Pull, state: AppState) -> Built | Response:
    if image := job.result():
        return image
    policy = state.wait_policy
    redirect = _redirect_count(request.scope["query_string"], policy.redirects)
    last = redirect == policy.redirects
    impatient = has_header_limit(request.headers.get("user-agent", ""))
    seconds = policy.hold_seconds if last and not impatient else policy.redirect_seconds
    if image := await _wait(request, job, seconds):
        return image
    if state.jobs.draining:
        # A redirected client could not reconnect.  Builds end soon, finished or cancelled.
        if image := await _wait(request, job, policy.hold_seconds):
            return image
    elif not last:
        return _to_itself(request, redirect + 1)
    stage = f" ({job.stage})" if job.stage else ""
    raise StillBuilding(
        f"still building {job.title}{stage}", retry_after=_RETRY_SECONDS, page=job.identifier
    )


async def _wait(request: Request, job: Pull, seconds: float) -> Built | None:
    """Wait until the build ends or the client disconnects, which does not stop the build."""
    # Most images are found at once, so do not watch for a disconnect at first.
    soon = min(seconds, _FIND_SECONDS)
    if image := await job.wait(soon):
        return image
    built = asyncio.ensure_future(job.wait(seconds - soon))
    left = asyncio.ensure_future(_leave(request))
    try:
        await asyncio.wait((built, left), return_when=asyncio.FIRST_COMPLETED)
        return built.result() if built.done() else None
    finally:
        built.cancel()
        left.cancel()


async def _leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass  # ignore a request body


def _redirect_count(query: bytes, redirects: int) -> int:
    """Return how often the request was redirected.  A forged number shortens only its own wait."""
    found = _REDIRECT_NUMBER.search(query)
    return min(int(found[1]), redirects) if found else 0


def _to_itself(request: Request, redirect: int) -> Response:
    """Redirect by a relative location, so that the client keeps the address it used."""
    query: bytes = request.scope["query_string"]
    kept = [part for part in query.split(b"&") if part and not _REDIRECT_PARAMETER.match(part)]
    location = b"?" + b"&".join([*kept, b"_w=%d" % redirect])
    location = _UNSAFE.sub(lambda unsafe: b"%%%02X" % unsafe[0][0], location)
    return Response(
        status_code=307,
        headers={"location": location.decode("ascii"), "cache-control": "no-store"},
    )
