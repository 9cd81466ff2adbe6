"""A bound on bytes that are in use together.

The semaphores of asyncio and anyio count by one; reserving a gigabyte takes one step here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

# Reservations that are ordered by their work.  Each waits for a bounded number of later ones.
_BATCH = 32


class _Waiting(NamedTuple):
    size: int
    work: int
    turn: asyncio.Future[None]


class Volume:
    """A number of bytes that reservations share.

    Reservations are granted in batches, and in each batch the one with the most work first.  A
    reservation of more than ``size`` waits until all others have ended.  ``least`` reservations are
    granted whatever their size, and never more than ``most``.
    """

    def __init__(self, size: int, *, least: int = 0, most: int | None = None) -> None:
        self._size = size
        self._least = least
        self._most = most
        self._used = 0
        self._count = 0
        self._waiting: deque[_Waiting] = deque()
        # The next is the last one.
        self._batch: list[_Waiting] = []

    @asynccontextmanager
    async def reserve(self, size: int, *, work: int | None = None) -> AsyncIterator[None]:
        """Reserve; ``work`` is how much follows before the end, by default as much as ``size``."""
        await self.take(size, work=work)
        try:
            yield
        finally:
            self.release(size)

    async def take(self, size: int, *, work: int | None = None) -> None:
        """Reserve until ``release`` is called with the same size."""
        work = size if work is None else work
        size = min(size, self._size)
        if not self._batch and not self._waiting and self._fits(size):
            self._grant(size)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(size, work, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(size)
            else:
                self._grant_waiting()
            raise

    def release(self, size: int) -> None:
        self._used -= min(size, self._size)
        self._count -= 1
        self._grant_waiting()

    def _fits(self, size: int) -> bool:
        if self._most is not None and self._count >= self._most:
            return False
        return self._count < self._least or self._used + size <= self._size

    def _grant(self, size: int) -> None:
        self._used += size
        self._count += 1

    def _grant_waiting(self) -> None:
        while (waiting := self._next()) is not None:
            if not self._fits(waiting.size):
                return
            self._batch.pop()
            self._grant(waiting.size)
            waiting.turn.set_result(None)

    def _next(self) -> _Waiting | None:
        """Return the reservation that is granted next, without those that were cancelled."""
        while self._batch or self._waiting:
            if not self._batch:
                count = min(_BATCH, len(self._waiting))
                batch = (self._waiting.popleft() for _ in range(count))
                self._batch = sorted(batch, key=lambda waiting: -waiting.work)[::-1]
            if not self._batch[-1].turn.cancelled():
                return self._batch[-1]
            self._batch.pop()
        return None
