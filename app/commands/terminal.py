"""Progress for people, on standard error; the answer itself goes to a file or standard output."""

import os
import sys
import time
from pathlib import Path
from typing import TextIO

from app.builder.nix.binary_cache.reading import Tally
from app.text.sanitize import line

_SENTENCE_LIMIT = 1000
_OFTEN = 0.2
_SELDOM = 10.0


class Line:
    """One line that changes on a terminal; a line now and then elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changes = stream.isatty()
        self._every = _OFTEN if self._changes else _SELDOM
        self._begun = time.monotonic()
        self._shown_at = self._begun

    @property
    def elapsed(self) -> float:
        """In seconds."""
        return time.monotonic() - self._begun

    def is_due(self) -> bool:
        return time.monotonic() - self._shown_at >= self._every

    def show(self, sentence: str) -> None:
        self._shown_at = time.monotonic()
        self.clear()
        sentence = line(sentence, _SENTENCE_LIMIT)
        self._stream.write(sentence if self._changes else f"{sentence}\n")
        self._stream.flush()

    def clear(self) -> None:
        """For something else to be written."""
        if self._changes:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def end(self) -> None:
        if self._changes:
            self._stream.write("\n")


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


def write_answer(document: bytes, output: Path | None) -> None:
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
