"""Cut a tar stream into blocks of one size, which are compressed independently.

The cuts depend on the stream alone, not on how it was read or how many threads work.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

from app.builder.images.packing.tar_header import RECORD, padding
from app.builder.nix.store import ReadBuffers
from app.system.blocking import blocking


class Buffers:
    """Memory for ``limit`` blocks, which bounds the memory of all packing together.

    A block is in a reused buffer, or has memory of its own and reserves room for it.
    """

    def __init__(self, limit: int, *, size: int) -> None:
        self._permits = threading.Semaphore(limit)
        self._size = size
        self._idle: list[bytearray] = []

    @blocking
    def take(self, advance: Callable[[], bool]) -> bytearray:
        """Return a free buffer.  The caller must not hold another, or callers deadlock.

        Buffers that the caller has passed on to threads do not count.  ``advance`` works on them
        until one may be free, and returns False if there are none: all buffers are then in use by
        others, which return them without help.
        """
        self._acquire(advance)
        try:
            return self._idle.pop()
        except IndexError:
            return bytearray(self._size)

    def put_back(self, buffer: bytearray) -> None:
        self._idle.append(buffer)
        self._permits.release()

    @blocking
    def reserve(self, advance: Callable[[], bool]) -> None:
        """Reserve room for a block that has memory of its own."""
        self._acquire(advance)
        # An idle buffer is memory too, and its room has just been taken.
        with suppress(IndexError):
            self._idle.pop()

    def release(self) -> None:
        """Free the room that ``reserve`` took."""
        self._permits.release()

    def _acquire(self, advance: Callable[[], bool]) -> None:
        while not self._permits.acquire(blocking=False):
            if not advance():
                self._permits.acquire()
                return


class BlockStream:
    """A stream that fills buffers of one size.

    ``deliver`` takes a buffer and the number of bytes in it, and returns another buffer.
    """

    def __init__(self, first: bytearray, deliver: Callable[[bytearray, int], bytearray]) -> None:
        self._deliver = deliver
        self._buffer = first
        self._view = memoryview(first)
        self._size = len(first)
        self._filled = 0
        self._beyond = bytearray(1)

    def write(self, data: bytes) -> None:
        start, end = self._filled, self._filled + len(data)
        if end < self._size:
            self._view[start:end] = data
            self._filled = end
            return
        rest = memoryview(data)
        while rest:
            room = self._size - self._filled
            part, rest = rest[:room], rest[room:]
            self._view[self._filled : self._filled + len(part)] = part
            self._advance(len(part))

    def write_file(self, header: bytes, readv: Callable[[ReadBuffers], int], size: int) -> None:
        """Write a header, the content that ``readv`` reads, and padding.

        Raises OSError if the content has another size: it requests one byte more.
        """
        start = self._filled + len(header)
        end = start + size
        padded = end + -size % RECORD
        if padded >= self._size:
            self.write(header)
            self._write_large_file(readv, size)
            self.write(padding(size))
            return
        view = self._view
        view[self._filled : start] = header
        if readv((view[start : end + 1],)) != size:
            raise _changed(size)
        view[end:padded] = padding(size)
        self._filled = padded

    def _write_large_file(self, readv: Callable[[ReadBuffers], int], size: int) -> None:
        left = size
        while left:
            part = self._view[self._filled : self._filled + left]
            count = readv((part, self._beyond)) if len(part) == left else readv((part,))
            if not 0 < count <= left:
                raise _changed(size)
            left -= count
            self._advance(count)

    def flush(self) -> None:
        """Deliver a last, shorter block."""
        if self._filled:
            self._advance(0, force=True)

    def _advance(self, count: int, *, force: bool = False) -> None:
        self._filled += count
        if self._filled == self._size or force:
            self._buffer = self._deliver(self._buffer, self._filled)
            self._view = memoryview(self._buffer)
            self._filled = 0


def _changed(size: int) -> OSError:
    return OSError(f"its size changed from {size} bytes while it was read")
