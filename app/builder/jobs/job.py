"""Work that the server owns and that any number of callers wait for."""

import asyncio
import secrets
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from app.builder.jobs.progress import Progress
from app.failure import Failure
from app.telemetry.request_id import REQUEST_ID

T = TypeVar("T")


class JobState(StrEnum):
    """Whether a job runs, and how it ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Job(Generic[T]):
    """A task of the server, and its outcome when it has ended.

    ``identifier`` names the job's page; ``title`` is the requested image, for people.  ``request``
    is the identifier of the HTTP request that started it, "" without one.  A job that continues
    ``after`` another has the page, the progress and the start of that one.
    """

    __slots__ = (
        "_ended",
        "_failure",
        "_finished",
        "_on_success",
        "_result",
        "begun",
        "finished_at",
        "identifier",
        "progress",
        "request",
        "started_at",
        "title",
    )

    def __init__(self, *, title: str, after: "Job[Any] | None" = None) -> None:
        self.identifier: str = after.identifier if after else secrets.token_hex(6)
        self.progress: Progress = after.progress if after else Progress()
        self.started_at: datetime = after.started_at if after else datetime.now(UTC)
        # Monotonic: the clock of ``started_at`` may be set while the job runs.
        self.begun: float = after.begun if after else time.monotonic()
        self._ended: float | None = None
        self.title = title
        self.request: str = after.request if after else REQUEST_ID.get()
        self.finished_at: datetime | None = None
        self._finished = asyncio.Event()
        self._result: T | None = None
        self._failure: Failure | None = None
        self._on_success: dict[Hashable, Callable[[], None]] = {}

    @property
    def state(self) -> JobState:
        if self.finished_at is None:
            return JobState.RUNNING
        return JobState.SUCCEEDED if self._failure is None else JobState.FAILED

    @property
    def stage(self) -> str:
        return self.progress.stage

    @property
    def failure(self) -> Failure | None:
        return self._failure

    @property
    def seconds(self) -> float:
        """The seconds between the start and the end, or now."""
        return (self._ended or time.monotonic()) - self.begun

    def result(self) -> T | None:
        """Return None while the job runs; raise the RegistryError that ended it."""
        if self._failure is not None:
            raise self._failure.exception()
        return self._result

    async def wait(self, seconds: float | None) -> T | None:
        """Return the result, or None after ``seconds``; without ``seconds`` wait for the end.

        Raises the RegistryError that ended the job.  Cancelling a waiter does not cancel the job.
        """
        if not self._finished.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._finished.wait()
        return self.result()

    def when_succeeded(self, key: Hashable, function: Callable[[], None]) -> None:
        """Call a function, one for each key, at the end of a job that succeeds."""
        if self.state is JobState.RUNNING:
            self._on_success[key] = function
        elif self.state is JobState.SUCCEEDED:
            function()

    def succeed(self, result: T) -> None:
        self._result = result
        self._finish()
        for function in self._on_success.values():
            function()
        self._on_success.clear()

    def fail(self, failure: Failure) -> None:
        self._failure = failure
        self._finish()

    def _finish(self) -> None:
        self.finished_at = datetime.now(UTC)
        self._ended = time.monotonic()
        self._finished.set()
