"""A bound on bytes that are in use together.

The semaphores of asyncio and anyio count by one; reserving a gigabyte takes one step here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Reservations that are ordered by their size.  Each waits for a bounded number of later ones.
_BATCH = 32


class Volume:
    """Reservations are granted in batches, and in each the largest first: it takes the longest.

    One of more than all waits for the others' end.  ``least`` reservations are granted whatever
    their size, and never more than ``most``.
    """

    def __init__(self, size: int, *, least: int = 0, most: int | None = None) -> None:
        self._size = size
        self._least = least
        self._most = most
        self._used = 0
        self._count = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        # The next is the last one.
        self._batch: list[tuple[int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        await self.take(size)
        try:
            yield
        finally:
            self.give_back(size)

    async def take(self, size: int) -> None:
        """Reserve until ``give_back`` is called with the same size."""
        size = min(size, self._size)
        if not self._batch and not self._waiting and self._fits(size):
            self._grant(size)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                self._grant_waiting()
            raise

    def give_back(self, size: int) -> None:
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
            size, turn = waiting
            if not self._fits(size):
                return
            self._batch.pop()
            self._grant(size)
            turn.set_result(None)

    def _next(self) -> tuple[int, asyncio.Future[None]] | None:
        """Return the reservation that is granted next, without those that were cancelled."""
        while self._batch or self._waiting:
            if not self._batch:
                count = min(_BATCH, len(self._waiting))
                batch = (self._waiting.popleft() for _ in range(count))
                self._batch = sorted(batch, key=lambda waiting: -waiting[0])[::-1]
            if not self._batch[-1][1].cancelled():
                return self._batch[-1]
            self._batch.pop()
        return None
