"""``nixery verify``: check every stored blob, manifest and record against its key."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from app.commands.exit_status import ERROR
from app.commands.failures import exit_on_errors
from app.commands.terminal import ProgressLine
from app.commands.verifying import Reading, Verifier
from app.errors import OperatorError, StorageUnavailable
from app.settings.loading import load_settings
from app.settings.sections.storage import FilesystemBackend, MemoryBackend
from app.settings.settings import Settings
from app.system.blocking import blocking
from app.system.workers import Workers
from app.text.sanitize import printable
from app.wiring.storage import storage_of


def command(
    *,
    delete: Annotated[
        bool,
        typer.Option(
            "--delete",
            help="Remove damaged objects, and records of earlier versions. The next pull by tag"
            " creates them again, with the same digest.",
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a line of JSON for each damaged object, and one with the counts."
        ),
    ] = False,
) -> None:
    """Read every stored object, and print the damaged ones.

    The storage is that of the server's settings, from the same environment variables or file.

    Servers may run at the same time. The exit status is 1 if any object is damaged.
    """
    line = ProgressLine(sys.stderr)

    def name(finding: str) -> None:
        key, _, problem = finding.partition(": ")
        write(json.dumps({"object": key, "problem": problem}) if as_json else finding)

    def write(text: str) -> None:
        line.clear()
        sys.stdout.write(f"{printable(text)}\n")
        sys.stdout.flush()

    def report(reading: Reading) -> None:
        if line.is_due():
            rate = reading.size / line.elapsed / 1e6
            line.show(f"{reading.objects:,} of {reading.wanted:,} objects, {rate:,.0f} MB/s")

    with exit_on_errors("verify", interrupted="the objects printed so far are damaged"):
        reading = verify(load_settings(), delete=delete, name=name, report=report)
        write(
            _counts(reading, line.elapsed)
            if as_json
            else f"{reading.objects:,} objects with {reading.size:,} bytes read in {line.elapsed:.1f} s:"
            f" {reading.damaged:,} damaged"
            + (f", {reading.unread:,} could not be opened" if reading.unread else "")
            + (_earlier(reading.earlier, delete=delete) if reading.earlier else "")
        )
    if reading.damaged or reading.unread:
        raise typer.Exit(ERROR)


def _counts(reading: Reading, seconds: float) -> str:
    return json.dumps(
        {
            "objects": reading.objects,
            "bytes": reading.size,
            "damaged": reading.damaged,
            "unread": reading.unread,
            "earlier": reading.earlier,
            "seconds": round(seconds, 1),
        }
    )


def _earlier(count: int, *, delete: bool) -> str:
    noun = "record" if count == 1 else "records"
    return f", {count:,} {noun} of an earlier version, {'deleted' if delete else 'unused'}"


class NothingToVerify(OperatorError):
    """The settings name no storage that can be read; the message is one line."""


@blocking
def verify(
    settings: Settings,
    *,
    delete: bool,
    name: Callable[[str], None],
    report: Callable[[Reading], None],
) -> Reading:
    """Verify the storage of the settings.  Raises NothingToVerify, StorageUnavailable."""
    match settings.backend:
        case MemoryBackend():
            raise NothingToVerify("storage in memory cannot be verified: it ends with its server")
        case FilesystemBackend(path) if not path.is_dir():
            # Started, the storage would create the directory, and report no damage.
            raise NothingToVerify(f"storage {path} does not exist (see NIXERY_STORAGE_PATH)")
    return asyncio.run(_verify(settings, delete=delete, name=name, report=report))


async def _verify(
    settings: Settings,
    *,
    delete: bool,
    name: Callable[[str], None],
    report: Callable[[Reading], None],
) -> Reading:
    storage = storage_of(settings)
    try:
        await storage.start()
    except StorageUnavailable:
        # After an error a disk may be mounted read-only; it can still be verified.
        if delete or not isinstance(settings.backend, FilesystemBackend):
            raise
    try:
        verifier = Verifier(
            storage=storage,
            workers=Workers(settings.workers),
            delete=delete,
            name=name,
            report=report,
        )
        return await verifier.verify()
    finally:
        await storage.close()
