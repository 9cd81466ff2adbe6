"""What a program writes, taken while it comes and with bounded memory, and what it is told.

The event loop's own pipes are not used: uvloop closes the number of one twice, and a thread that
opened a file between the two loses it, or reads somebody else's.
"""

import asyncio
import os
from collections.abc import Callable
from typing import IO

_CHUNK = 64 * 1024
_LINE = 16 * 1024


class Reader:
    """``take`` is given each piece; ``ended`` is done when all is read, or it was closed."""

    def __init__(self, pipe: IO[bytes], take: Callable[[bytes], None]) -> None:
        self._pipe = pipe
        self._take = take
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def close(self) -> None:
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
        if chunk:
            self._take(chunk)
        else:
            self.close()


class Writer:
    """Never waits: what the pipe does not hold goes out later.

    One that listens no longer is not told, and has ended or will be out of time.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()
        self._unsaid = bytearray()
        os.set_blocking(pipe.fileno(), False)

    def write(self, words: bytes) -> None:
        self._unsaid += words
        self._write()

    def close(self) -> None:
        if not self._pipe.closed:
            self._loop.remove_writer(self._pipe.fileno())
            self._pipe.close()

    def _write(self) -> None:
        if self._pipe.closed:
            return
        try:
            del self._unsaid[: os.write(self._pipe.fileno(), self._unsaid)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.close()
            return
        if self._unsaid:
            self._loop.add_writer(self._pipe.fileno(), self._write)
        else:
            self._loop.remove_writer(self._pipe.fileno())


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
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._line += line
            self.finish()
        self._line += rest
        if len(self._line) > _LINE:
            self.finish()

    def mute(self) -> None:
        """What is said while it is being stopped is nobody's news."""
        self._on_line = None

    def finish(self) -> None:
        """Hand out the line that has begun."""
        if self._on_line is not None and self._line:
            self._on_line(self._line.decode(errors="replace"))
        self._line.clear()
