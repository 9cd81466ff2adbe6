"""Cuts a tar stream into blocks of one size, which are compressed independently.

The cuts depend on the stream alone: not on how it was read, nor on how many threads work.
"""

import os
import threading
from collections.abc import Callable

from app.builder.packing.header import padding

BLOCK_SIZE = 4 << 20


class Buffers:
    """Block buffers, used again; their number bounds the memory of all packing together."""

    def __init__(self, limit: int) -> None:
        self._free: list[bytearray] = []
        self._permits = threading.Semaphore(limit)

    def take(self) -> bytearray:
        """Blocking.  For callers that hold no other buffer, or they wait for one another."""
        self._permits.acquire()
        return self._buffer()

    def try_take(self) -> bytearray | None:
        return self._buffer() if self._permits.acquire(blocking=False) else None

    def give_back(self, buffer: bytearray) -> None:
        self._free.append(buffer)
        self._permits.release()

    def _buffer(self) -> bytearray:
        try:
            return self._free.pop()
        except IndexError:
            return bytearray(BLOCK_SIZE)


class BlockStream:
    """``deliver`` gets a buffer and how much of it is filled, and returns the next buffer."""

    def __init__(self, first: bytearray, deliver: Callable[[bytearray, int], bytearray]) -> None:
        self._deliver = deliver
        self._buffer = first
        self._view = memoryview(first)
        self._filled = 0
        self._beyond = bytearray(1)

    def write(self, data: bytes) -> None:
        start, end = self._filled, self._filled + len(data)
        if end < BLOCK_SIZE:
            self._view[start:end] = data
            self._filled = end
            return
        rest = memoryview(data)
        while rest:
            room = BLOCK_SIZE - self._filled
            part, rest = rest[:room], rest[room:]
            self._view[self._filled : self._filled + len(part)] = part
            self._advance(len(part))

    def write_file(self, descriptor: int, size: int) -> None:
        """Blocking.  The file's content and its padding; raises OSError if ``size`` is not its size."""
        left = size
        count = 0 if size else os.readv(descriptor, (self._beyond,))
        while left:
            start = self._filled
            part = self._view[start : start + left]
            if len(part) == left:
                # One byte more than there should be tells a file that has grown.
                count = os.readv(descriptor, (part, self._beyond))
            else:
                count = os.readv(descriptor, (part,))
            if not 0 < count <= left:
                break
            left -= count
            self._advance(count)
            count = 0
        if left or count:
            raise OSError(f"its size changed from {size} bytes while it was read")
        self.write(padding(size))

    def flush(self) -> None:
        """Deliver a last, shorter block."""
        if self._filled:
            self._advance(0, force=True)

    def _advance(self, count: int, *, force: bool = False) -> None:
        self._filled += count
        if self._filled == BLOCK_SIZE or force:
            self._buffer = self._deliver(self._buffer, self._filled)
            self._view = memoryview(self._buffer)
            self._filled = 0
