"""A bound on bytes that are in use together.

The semaphores of asyncio and anyio count by one; reserving a gigabyte takes one step here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Volume:
    """Reservations are granted in their order; one of more than all waits for the others' end."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        size = min(size, self._size)
        if self._waiting or self._used + size > self._size:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release(size)
                else:
                    self._waiting.remove((size, turn))
                    self._grant()
                raise
        else:
            self._used += size
        try:
            yield
        finally:
            self._release(size)

    def _release(self, size: int) -> None:
        self._used -= size
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self._used + self._waiting[0][0] <= self._size:
            size, turn = self._waiting.popleft()
            self._used += size
            turn.set_result(None)
