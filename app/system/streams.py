"""The pipes of a program: read its output with bounded memory, and write its input.

The event loop's own pipes are not used: uvloop closes the descriptor of one twice.  A thread that
opens a file between the two closes gets the same number and loses its file.
"""

import asyncio
import os
from collections.abc import Callable
from typing import IO

_CHUNK = 64 * 1024
_LINE = 16 * 1024
# A program that prints as fast as it can gets a third of the event loop at most.
_LINES_AT_ONCE = 64
_REST_SECONDS = 0.002


class Reader:
    """Call ``take`` with each piece; ``ended`` is done when all is read or after ``close``.

    With ``by_lines`` a piece has few lines, and the event loop does other work between two pieces.
    The program waits during that time, since its pipe is not read.
    """

    def __init__(
        self, pipe: IO[bytes], take: Callable[[bytes], None], *, by_lines: bool = False
    ) -> None:
        self._pipe = pipe
        self._take = take
        self._by_lines = by_lines
        self._rest = b""
        self._resting: asyncio.Handle | None = None
        self._exited = False
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def skip_rests(self) -> None:
        """Read the rest without pauses: the program has exited, and little output is left."""
        self._exited = True

    def close(self) -> None:
        self._rest = b""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if not self._pipe.closed:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def _read(self) -> None:
        try:
            chunk = os.read(self._pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
        elif self._by_lines:
            self._rest = chunk
            self._give()
        else:
            self._take(chunk)

    def _give(self) -> None:
        """Pass on a few lines, and the others after a rest; read nothing until then."""
        end = _end_of_lines(self._rest, _LINES_AT_ONCE)
        piece, self._rest = self._rest[:end], self._rest[end:]
        paused = self._resting is not None
        self._resting = None
        self._take(piece)
        if self._pipe.closed:
            return
        if self._rest:
            if not paused:
                self._loop.remove_reader(self._pipe.fileno())
            rest = 0 if self._exited else _REST_SECONDS
            self._resting = self._loop.call_later(rest, self._give)
        elif paused:
            self._loop.add_reader(self._pipe.fileno(), self._read)


class Writer:
    """Write without waiting: bytes that the pipe does not hold are sent later.

    A program that has closed its input gets nothing more; it has exited or will time out.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        os.set_blocking(pipe.fileno(), False)

    def write(self, data: bytes) -> None:
        self._unsent += data
        self._write()

    def close(self) -> None:
        if not self._pipe.closed:
            self._loop.remove_writer(self._pipe.fileno())
            self._pipe.close()

    def _write(self) -> None:
        if self._pipe.closed:
            return
        try:
            del self._unsent[: os.write(self._pipe.fileno(), self._unsent)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.close()
            return
        if self._unsent:
            self._loop.add_writer(self._pipe.fileno(), self._write)
        else:
            self._loop.remove_writer(self._pipe.fileno())


def _end_of_lines(text: bytes, count: int) -> int:
    """Return the offset behind ``count`` lines, or behind the whole text."""
    end = 0
    for _ in range(count):
        end = text.find(b"\n", end) + 1
        if not end:
            return len(text)
    return end


class Tail:
    """The last bytes of a stream, and its lines while they come."""

    def __init__(self, size: int, on_line: Callable[[str], None] | None) -> None:
        self._size = size
        self._on_line = on_line
        self._kept = bytearray()
        self._line = bytearray()

    @property
    def content(self) -> bytes:
        return bytes(self._kept[-self._size :])

    def add(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > 2 * self._size:
            del self._kept[: -self._size]
        if self._on_line is None:
            return
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._line += line
            self.finish()
        self._line += rest
        if len(self._line) > _LINE:
            self.finish()

    def mute(self) -> None:
        """Ignore output produced during shutdown."""
        self._on_line = None

    def finish(self) -> None:
        """Pass on an unfinished line."""
        if self._on_line is not None and self._line:
            self._on_line(self._line.decode(errors="replace"))
        self._line.clear()
