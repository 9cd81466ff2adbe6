"""A chain of jobs as one piece of work to wait for: each finds the next one, which others share."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar, cast

from app.builder.jobs.job import Job
from app.builder.jobs.phases import Phases

T = TypeVar("T")


class Steps(Generic[T]):
    """The interface of a Job; page and stage are those of the step that runs or ran last."""

    __slots__ = ("_first",)

    def __init__(self, first: Job[Any]) -> None:
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

    @property
    def phases(self) -> Phases:
        return self._last.progress.phases

    def result(self) -> T | None:
        """Return None while a step runs; raise the RegistryError that ended one."""
        return cast("T | None", self._last.result())

    async def wait(self, seconds: float | None) -> T | None:
        """Return the result, or None after ``seconds`` for all steps."""
        clock = asyncio.get_running_loop().time
        end = None if seconds is None else clock() + seconds
        job: Any = self._first
        while isinstance(job, Job):
            job = await job.wait(None if end is None else max(end - clock(), 0))
        return cast("T | None", job)

    def when_succeeded(self, key: Hashable, function: Callable[[], None]) -> None:
        """Call a function, one for each key, when the last step succeeds."""
        _when_succeeded(self._first, key, function)

    @property
    def _last(self) -> Job[Any]:
        job = self._first
        while job.failure is None and isinstance(following := job.result(), Job):
            job = following
        return job


def _when_succeeded(job: Job[Any], key: Hashable, function: Callable[[], None]) -> None:
    def go_on() -> None:
        following = job.result()
        if isinstance(following, Job):
            _when_succeeded(following, key, function)
        else:
            function()

    job.when_succeeded(key, go_on)
