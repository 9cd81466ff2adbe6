"""A few questions to an upstream at one time, and a bounded number that wait."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import TooManyRequests

_WEIGHT = 0.3
_LONGEST_RETRY = 120


class RateGate:
    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._at_once = at_once
        self._places = waiting
        self._slots = asyncio.Semaphore(at_once)
        self._taken = 0
        self._average = 1.0

    @asynccontextmanager
    async def turn(self, subject: str) -> AsyncIterator[None]:
        """``subject`` is who is asked, for people.  Raises TooManyRequests."""
        if self._taken >= self._at_once + self._places:
            raise TooManyRequests(
                f"{subject} is being asked for too many tags at once; ask again",
                retry_after=self._retry_after,
            )
        self._taken += 1
        try:
            async with self._slots:
                begun = time.monotonic()
                try:
                    yield
                finally:
                    self._average += _WEIGHT * (time.monotonic() - begun - self._average)
        finally:
            self._taken -= 1

    @property
    def _retry_after(self) -> int:
        """Whole seconds until those who wait now will probably have been served."""
        expected = self._average * (self._taken + 1) / self._at_once
        return min(max(math.ceil(expected), 1), _LONGEST_RETRY)
