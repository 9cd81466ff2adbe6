"""Bounded threads for blocking work; the event loop never waits for a disk or a compressor."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter

from app import threads

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Functions given to ``run`` are plain ``def`` and say "Blocking." in their docstring."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._limiter = CapacityLimiter(count)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await threads.run(partial(work, *args, **kwargs), limiter=self._limiter)
