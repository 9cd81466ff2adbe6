"""What a program writes, taken while it comes and with bounded memory."""

import asyncio
from collections.abc import Callable

_LINE = 16 * 1024


class Stream(asyncio.Protocol):
    def __init__(self, take: Callable[[bytes], None], ended: asyncio.Future[None]) -> None:
        self._take = take
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        if not self._ended.done():
            self._ended.set_result(None)


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
