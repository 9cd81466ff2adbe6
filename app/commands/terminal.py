"""Progress for people, on standard error; the answer itself goes to a file or standard output."""

import os
import sys
import time
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from app.builder.nix.binary_cache.reading import Tally
from app.text.sanitize import line

_SENTENCE_LIMIT = 1000
_OFTEN = 0.2
_SELDOM = 10.0


class Line:
    """A line that changes in place on a terminal; elsewhere, a line every ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._changes = stream.isatty()
        self._every = _OFTEN if self._changes else _SELDOM
        self._begun = time.monotonic()
        self._shown_at = self._begun
        self._stream = stream
        self._live: Live | None = None

    @property
    def elapsed(self) -> float:
        """In seconds."""
        return time.monotonic() - self._begun

    def is_due(self) -> bool:
        return time.monotonic() - self._shown_at >= self._every

    def show(self, sentence: str) -> None:
        self._shown_at = time.monotonic()
        sentence = line(sentence, _SENTENCE_LIMIT)
        if not self._changes:
            self._stream.write(f"{sentence}\n")
            self._stream.flush()
            return
        if self._live is None:
            console = Console(file=self._stream, highlight=False)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Text(sentence, no_wrap=True, overflow="ellipsis"), refresh=True)

    def clear(self) -> None:
        """Remove the line, so that other output can be written."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def end(self) -> None:
        """Leave the line where it stands."""
        if self._live is not None:
            self._live.transient = False
            self.clear()


class Progress:
    """Of reading what a binary cache says."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = Line(stream)
        self._tally = Tally()

    def __call__(self, tally: Tally) -> None:
        self._tally = tally
        if self._line.is_due():
            self._line.show(self._sentence(tally))

    def end(self) -> None:
        """The last line, and the reason of what failed."""
        self._line.show(self._sentence(self._tally))
        self._line.end()
        if self._tally.failed:
            problem = line(self._tally.problem, _SENTENCE_LIMIT)
            self._stream.write(f"{self._tally.failed:,} failed, the last: {problem}\n")

    def _sentence(self, tally: Tally) -> str:
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


def write_document(document: bytes, output: Path | None) -> None:
    """Blocking.  Whole or not at all, to a file; standard output gets a newline more."""
    if output is None:
        sys.stdout.buffer.write(document + b"\n")
        sys.stdout.buffer.flush()
    elif output.is_symlink() or (output.exists() and not output.is_file()):
        # /dev/null, a pipe: to be written to, never to be replaced.
        output.write_bytes(document)
    else:
        partial = output.with_name(f".{output.name}.{os.getpid()}")
        try:
            partial.write_bytes(document)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
