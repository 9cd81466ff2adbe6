"""Progress on standard error, and results in a file or on standard output."""

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from app.builder.nix.binary_cache.reading import Tally
from app.commands.output_files import writing
from app.system.blocking import blocking
from app.text.sanitize import one_line

_LINE_LIMIT = 1000
_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0


class ProgressLine:
    """A line that changes in place on a terminal; elsewhere, a line every ten seconds.

    A stream that was closed is ignored: work does not end with its terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._is_terminal = stream.isatty()
        self._interval = _TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS
        self._started = time.monotonic()
        self._shown_at = self._started
        self._stream = stream
        self._live: Live | None = None

    @property
    def elapsed(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self._started

    def is_due(self) -> bool:
        return time.monotonic() - self._shown_at >= self._interval

    def show(self, text: str) -> None:
        self._shown_at = time.monotonic()
        text = one_line(text, _LINE_LIMIT)
        with suppress(OSError):
            self._write(text)

    def _write(self, text: str) -> None:
        if not self._is_terminal:
            self._stream.write(f"{text}\n")
            self._stream.flush()
            return
        if self._live is None:
            console = Console(file=self._stream, highlight=False)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)

    def clear(self) -> None:
        """Remove the line, so that other output can be written."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError):
                live.stop()

    def end(self) -> None:
        """Keep the line on the screen, and start no other."""
        if self._live is not None:
            self._live.transient = False
            self.clear()


class Progress:
    """Progress of reading narinfos from a binary cache."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ProgressLine(stream)
        self._tally = Tally()

    def __call__(self, tally: Tally) -> None:
        self._tally = tally
        if self._line.is_due():
            self._line.show(self._summary(tally))

    def end(self) -> None:
        """Write the final counts, and the reason of the last failure."""
        self._line.show(self._summary(self._tally))
        self._line.end()
        if self._tally.failed:
            problem = one_line(self._tally.problem, _LINE_LIMIT)
            with suppress(OSError):
                self._stream.write(f"{self._tally.failed:,} failed, the last: {problem}\n")

    def _summary(self, tally: Tally) -> str:
        elapsed = self._line.elapsed
        rate = (tally.done - tally.known) / elapsed if elapsed else 0
        parts = [f"{tally.done:,} of {tally.wanted:,} store paths"]
        if tally.known:
            parts.append(f"{tally.known:,} known before")
        if tally.missing:
            parts.append(f"{tally.missing:,} not in the cache")
        if tally.failed:
            parts.append(f"{tally.failed:,} failed")
        if rate:
            parts.append(f"{rate:,.0f}/s")
            if left := tally.wanted - tally.done:
                parts.append(f"{left / rate:,.0f} s left")
        return ", ".join(parts)


@blocking
def write_document(document: bytes, output: Path | None) -> None:
    """On standard output, add a newline.  Raises CannotWrite, OSError."""
    if output is None:
        sys.stdout.buffer.write(document + b"\n")
        sys.stdout.buffer.flush()
    else:
        with writing(output) as file:
            file.write(document)
