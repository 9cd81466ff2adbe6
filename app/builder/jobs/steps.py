"""A job that finds another one, and that other one, as one piece of work to wait for."""

import asyncio
from typing import Any, Generic, TypeVar

from app.builder.jobs.job import Job

T = TypeVar("T")


class Steps(Generic[T]):
    """The interface of a Job; page and stage are those of the step that runs or ran last."""

    __slots__ = ("_first",)

    def __init__(self, first: Job[Job[T]]) -> None:
        self._first = first

    @property
    def identifier(self) -> str:
        return self._last.identifier

    @property
    def title(self) -> str:
        return self._first.title

    @property
    def stage(self) -> str:
        return self._last.stage

    def result(self) -> T | None:
        """Return None while a step runs; raise the RegistryError that ended one."""
        second = self._first.result()
        return None if second is None else second.result()

    async def wait(self, seconds: float | None) -> T | None:
        """Return the result, or None after ``seconds`` for both steps."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        second = await self._first.wait(seconds)
        if second is None:
            return None
        left = None if seconds is None else max(seconds - (clock() - begin), 0)
        return await second.wait(left)

    @property
    def _last(self) -> Job[Any]:
        if self._first.failure is not None:
            return self._first
        return self._first.result() or self._first
