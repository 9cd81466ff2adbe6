"""Cuts a tar stream into blocks of one size, which are compressed independently.

The cuts depend on the stream alone: not on how it was read, nor on how many threads work.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from app.builder.images.packing.tar_header import RECORD, padding


class Buffers:
    """Memory for ``limit`` blocks, which bounds that of all packing together.

    A block lies in a buffer of ours, used again, or has memory of its own and room reserved.
    """

    def __init__(self, limit: int, *, size: int) -> None:
        self._permits = threading.Semaphore(limit)
        self._size = size
        self._idle: list[bytearray] = []

    def take(self, advance: Callable[[], bool]) -> bytearray:
        """Blocking.  Only for a caller that holds none, or callers wait for one another.

        Those it has passed on to threads do not count: ``advance`` works on them until one may
        be free, and is False if there are none.  Then all are with others, and come back without
        us.
        """
        self._acquire(advance)
        try:
            return self._idle.pop()
        except IndexError:
            return bytearray(self._size)

    def give_back(self, buffer: bytearray) -> None:
        self._idle.append(buffer)
        self._permits.release()

    def reserve(self, advance: Callable[[], bool]) -> None:
        """Blocking, as ``take`` is.  Room for a block that has memory of its own."""
        self._acquire(advance)
        # An idle buffer is memory too, which somebody else has the right to now.
        with suppress(IndexError):
            self._idle.pop()

    def release(self) -> None:
        """What was reserved."""
        self._permits.release()

    def _acquire(self, advance: Callable[[], bool]) -> None:
        while not self._permits.acquire(blocking=False):
            if not advance():
                self._permits.acquire()
                return


class BlockStream:
    """``deliver`` gets a buffer and how much of it is filled, and returns one of the same size."""

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

    def write_file(self, header: bytes, descriptor: int, size: int) -> None:
        """Blocking.  A header, the file's content and padding.

        Raises OSError if ``size`` is not the file's, as one byte more is asked for and not given.
        """
        start = self._filled + len(header)
        end = start + size
        padded = end + -size % RECORD
        if padded >= self._size:
            self.write(header)
            self._write_large_file(descriptor, size)
            self.write(padding(size))
            return
        view = self._view
        view[self._filled : start] = header
        if os.readv(descriptor, (view[start : end + 1],)) != size:
            raise _changed(size)
        view[end:padded] = padding(size)
        self._filled = padded

    def _write_large_file(self, descriptor: int, size: int) -> None:
        left = size
        while left:
            part = self._view[self._filled : self._filled + left]
            if len(part) == left:
                count = os.readv(descriptor, (part, self._beyond))
            else:
                count = os.readv(descriptor, (part,))
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
