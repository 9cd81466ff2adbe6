"""``nixery warm``: build many images, so that later pulls find them."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.commands.exit_status import ERROR
from app.commands.failures import exit_on_errors
from app.commands.layout import top_of
from app.commands.pulling import services
from app.commands.standard_streams import report
from app.commands.terminal import ProgressLine
from app.errors import NameInvalid, RegistryError
from app.reference import ImageReference
from app.state import AppState
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.text.sanitize import one_line

_AT_ONCE = 4
_INTERVAL_SECONDS = 0.2
_MESSAGE_LIMIT = 500


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME[:TAG]...", help="Names as in docker pull."),
    ] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "-f",
            "--file",
            metavar="FILE",
            help="Read names from a file, one a line; # begins a comment, - is standard input.",
        ),
    ] = None,
    at_once: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=32, help="Images to build at one time.")
    ] = _AT_ONCE,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each image.")
    ] = False,
) -> None:
    """Build images into the storage of the server's settings.

    Later pulls of these names find them, from servers with the same settings and storage. A name
    that fails does not stop the others. The exit status is 1 if any failed.
    """
    with exit_on_errors("warm", interrupted="run the same command again; built images are kept"):
        wanted = list(dict.fromkeys([*(names or ()), *(_listed(file) if file else ())]))
        if not wanted:
            raise typer.BadParameter("give names, or a file of names with --file")
        failed = asyncio.run(_warm(wanted, at_once, as_json=as_json))
    if failed:
        raise typer.Exit(ERROR)


@dataclass(frozen=True, slots=True)
class Warmed:
    """One line of output; ``message`` is the reason of a failure."""

    image: str
    state: str
    seconds: float
    digest: str = ""
    message: str = ""


@blocking
def _listed(file: Path) -> Iterator[str]:
    """Return the names that a file lists.  Raises OSError, NameInvalid."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NameInvalid(f"{file} is not a text of image names") from None
    for line in text.splitlines():
        name = line.partition("#")[0].strip()
        if name:
            yield name


async def _warm(names: Sequence[str], at_once: int, *, as_json: bool) -> int:
    """Return how many failed."""
    line = ProgressLine(sys.stderr)
    async with services() as state:
        run = _Run(state, names, line, as_json=as_json)
        try:
            await gather(run.work() for _ in range(min(at_once, len(names))))
        finally:
            line.clear()
    built = len(names) - run.failed
    report(f"{built} images are built, {run.failed} failed, {line.elapsed:.0f} s\n")
    return run.failed


class _Run:
    """Builds the names, in their order; ``work`` may run several times at once."""

    def __init__(
        self, state: AppState, names: Sequence[str], line: ProgressLine, *, as_json: bool
    ) -> None:
        self.failed = 0
        self._state = state
        self._left = iter(names)
        self._count = len(names)
        self._done = 0
        self._line = line
        self._as_json = as_json

    async def work(self) -> None:
        for name in self._left:
            started = time.monotonic()
            try:
                digest = await self._build(ImageReference.to_build(name), name)
            except RegistryError as error:
                self.failed += 1
                message = one_line(error.message, _MESSAGE_LIMIT)
                self._print(Warmed(name, "failed", _since(started), message=message))
            else:
                self._print(Warmed(name, "built", _since(started), digest))
            self._done += 1

    async def _build(self, reference: ImageReference, name: str) -> str:
        """Return the digest.  Raises RegistryError."""
        pull = self._state.images.pull(reference, client="")
        while (built := await pull.wait(_INTERVAL_SECONDS)) is None:
            if self._line.is_due():
                self._line.show(f"{self._done} of {self._count}; {name}: {pull.stage}")
        return str(top_of(built).digest)

    def _print(self, warmed: Warmed) -> None:
        self._line.clear()
        if self._as_json:
            text = json.dumps(asdict(warmed))
        else:
            text = f"{warmed.image}: {warmed.message or warmed.digest}, {warmed.seconds:.1f} s"
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
