"""Bounded queues in front of what is scarce: evaluation, realisation, packing."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.builder.jobs.progress import Progress
from app.errors import TooManyRequests

_WEIGHT = 0.2
_LONGEST_RETRY = 600


class Stage:
    """``at_once`` run, ``waiting`` more wait in the order they came, the rest are sent away.

    ``expected_seconds`` is what one is thought to take until the first has been measured.
    """

    def __init__(self, name: str, *, at_once: int, waiting: int, expected_seconds: float) -> None:
        self.name = name
        self._at_once = at_once
        self._places = waiting
        self._average = expected_seconds
        self._slots = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._active = 0

    @asynccontextmanager
    async def slot(self, progress: Progress) -> AsyncIterator[None]:
        """Raises TooManyRequests if the queue is full."""
        if self._waiting or self._slots.locked():
            await self._queue(progress)
        else:
            await self._slots.acquire()
        self._active += 1
        progress.enter(self.name)
        begun = time.monotonic()
        try:
            yield
        finally:
            self._active -= 1
            self._slots.release()
            self._average += _WEIGHT * (time.monotonic() - begun - self._average)

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
        """Whole seconds until those who wait now will probably have been served."""
        expected = self._average * (self._waiting + 1) / self._at_once
        return min(max(math.ceil(expected), 1), _LONGEST_RETRY)

    @property
    def active(self) -> int:
        return self._active

    @property
    def waiting(self) -> int:
        return self._waiting
