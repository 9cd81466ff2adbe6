"""One piece of work with many waiters, none of whom owns it."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Generic, TypeVar

from app.builder.jobs.progress import Progress
from app.errors import RegistryError

T = TypeVar("T")


class JobState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Job(Generic[T]):
    """``identifier`` names the job's page; ``title`` is what was asked for, for people.

    ``page`` names the one to read: its own, or that of the job whose failure it was told again.
    """

    __slots__ = (
        "_failure",
        "_finished",
        "_result",
        "finished_at",
        "identifier",
        "page",
        "progress",
        "started_at",
        "title",
    )

    def __init__(self, *, identifier: str, title: str) -> None:
        self.identifier = identifier
        self.page = identifier
        self.title = title
        self.progress = Progress()
        self.started_at = datetime.now(UTC)
        self.finished_at: datetime | None = None
        self._finished = asyncio.Event()
        self._result: T | None = None
        self._failure: RegistryError | None = None

    @property
    def state(self) -> JobState:
        if self.finished_at is None:
            return JobState.RUNNING
        return JobState.SUCCEEDED if self._failure is None else JobState.FAILED

    @property
    def failure(self) -> RegistryError | None:
        return self._failure

    @property
    def seconds(self) -> float:
        """How long it has run, or ran."""
        return ((self.finished_at or datetime.now(UTC)) - self.started_at).total_seconds()

    def result(self) -> T | None:
        """None while it runs; raises the RegistryError it ended with."""
        if self._failure is not None:
            # Many waiters raise this one error; each raise would lengthen its traceback.
            raise self._failure.with_traceback(None)
        return self._result

    async def wait(self, seconds: float | None) -> T | None:
        """The result, or None if it still runs after ``seconds`` (None: however long it takes).

        Raises the RegistryError the job ended with.  Cancelling a waiter ends the waiting only.
        """
        if not self._finished.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._finished.wait()
        return self.result()

    def succeed(self, result: T) -> None:
        self._result = result
        self._finish()

    def fail(self, failure: RegistryError) -> None:
        self._failure = failure
        self._finish()

    def _finish(self) -> None:
        self.finished_at = datetime.now(UTC)
        self._finished.set()
