"""Bounded queues in front of what is scarce: evaluation, realisation, packing."""

import asyncio
import heapq
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.builder.jobs.progress import Progress
from app.errors import TooManyRequests

_WEIGHT = 0.2
_LONGEST_RETRY = 600


class Stage:
    """``at_once`` run, ``waiting`` more wait in the order they came, the rest are sent away.

    ``expected_seconds`` is what one is thought to take until the first has been measured.
    """

    def __init__(
        self,
        name: str,
        *,
        at_once: int,
        waiting: int,
        expected_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._at_once = at_once
        self._places = waiting
        self._average = expected_seconds
        self._slots = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._clock = clock
        # When those that run began, by a token of each: times may be equal.
        self._begun: dict[object, float] = {}

    @asynccontextmanager
    async def slot(self, progress: Progress) -> AsyncIterator[None]:
        """Raises TooManyRequests if the queue is full."""
        if self._waiting or self._slots.locked():
            await self._queue(progress)
        else:
            await self._slots.acquire()
        token = object()
        self._begun[token] = self._clock()
        progress.enter(self.name)
        try:
            yield
        finally:
            took = self._clock() - self._begun.pop(token)
            self._slots.release()
            self._average += _WEIGHT * (took - self._average)

    async def _queue(self, progress: Progress) -> None:
        if self._waiting >= self._places:
            seconds = self.retry_after
            raise TooManyRequests(
                f"too many builds wait for {self.name}; ask again in {seconds} s",
                retry_after=seconds,
            )
        progress.enter(f"waiting for {self.name}, {self._waiting} ahead")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1

    @property
    def retry_after(self) -> int:
        """Whole seconds until those who wait now have been let in, and the next one can be.

        What runs is taken to need as long again as it has run, and no less than the average:
        a dozen quick ones say nothing about the one that holds the slot.
        """
        now = self._clock()
        free = [max(self._average, now - begun) for begun in self._begun.values()]
        free += [0.0] * (self._at_once - len(free))
        heapq.heapify(free)
        for _ in range(self._waiting):
            heapq.heapreplace(free, free[0] + self._average)
        return min(max(math.ceil(free[0]), 1), _LONGEST_RETRY)

    @property
    def active(self) -> int:
        return len(self._begun)

    @property
    def waiting(self) -> int:
        return self._waiting
