"""Bounded threads for blocking work; the event loop never waits for a disk or a compressor."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter

from app.system import threads

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Run functions that are plain ``def`` and marked with ``@blocking``.

    ``background`` is for functions that compute for seconds: the event loop goes before them.
    """

    def __init__(self, count: int, *, background: bool = False) -> None:
        self.count = count
        self._background = background
        self._limiter = CapacityLimiter(count)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await threads.run(
            partial(work, *args, **kwargs), limiter=self._limiter, background=self._background
        )

    async def obtain(self, work: Callable[[], T], *, discard: Callable[[T], object]) -> T:
        """Run work whose result has to be closed; ``discard`` receives it if the caller is cancelled."""
        return await threads.run(
            work, limiter=self._limiter, discard=discard, background=self._background
        )
