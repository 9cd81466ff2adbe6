"""Progress for people, on standard error; the answer itself goes to a file or standard output."""

import os
import sys
import time
from pathlib import Path
from typing import TextIO

from app.builder.binary_cache.reading import Tally

_OFTEN = 0.2
_SELDOM = 10.0


class Progress:
    """One line that changes on a terminal; a line now and then elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._every = _OFTEN if stream.isatty() else _SELDOM
        self._begun = time.monotonic()
        self._shown_at = self._begun
        self._tally = Tally()

    def __call__(self, tally: Tally) -> None:
        self._tally = tally
        now = time.monotonic()
        if now - self._shown_at >= self._every:
            self._shown_at = now
            self._show(tally)

    def end(self) -> None:
        """The last line, and the reason of what failed."""
        self._show(self._tally)
        if self._stream.isatty():
            self._stream.write("\n")
        if self._tally.failed:
            self._stream.write(f"{self._tally.failed:,} failed, the last: {self._tally.problem}\n")

    def _show(self, tally: Tally) -> None:
        start, end = ("\r\x1b[K", "") if self._stream.isatty() else ("", "\n")
        self._stream.write(f"{start}{self._sentence(tally)}{end}")
        self._stream.flush()

    def _sentence(self, tally: Tally) -> str:
        elapsed = time.monotonic() - self._begun
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
