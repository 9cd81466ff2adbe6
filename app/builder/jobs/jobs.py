"""Builds owned by the server, not by requests: one per key, joined by all who ask for it."""

import asyncio
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar

from loguru import logger

from app.builder.jobs.failures import FailureMemory
from app.builder.jobs.job import Job
from app.builder.jobs.progress import Progress
from app.errors import Draining, ManifestUnknown, RegistryError, TooManyRequests, Unavailable
from app.text.sanitize import line

T = TypeVar("T")

_CANCEL_SECONDS = 10
_LOG_LIMIT = 500
_LINES_AT_ONCE = 50


@dataclass(slots=True)
class JobCounts:
    """Since the process started.

    ``joined`` and ``remembered`` count requests that found a job running or its outcome in
    memory; ``found`` counts jobs that had nothing to do.
    """

    started: int = 0
    joined: int = 0
    remembered: int = 0
    found: int = 0
    succeeded: int = 0
    failed: int = 0


class Jobs(Generic[T]):
    """Outcomes are remembered for a while, the latest jobs kept for their pages.

    ``remember`` bounds how many outcomes are kept, ``history`` how many jobs with their logs.  A
    failure has a page for as long as it is an answer, and loses only its log before.
    """

    def __init__(
        self,
        *,
        failures: FailureMemory,
        result_seconds: float,
        remember: int,
        history: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = JobCounts()
        self._failures = failures
        self._result_seconds = result_seconds
        self._remember = remember
        self._history = history
        self._clock = clock
        self._running: dict[str, Job[T]] = {}
        self._outcomes: OrderedDict[str, tuple[Job[T], float]] = OrderedDict()
        self._pages: OrderedDict[str, Job[T]] = OrderedDict()
        # The event loop itself holds tasks weakly.
        self._tasks: set[asyncio.Task[T]] = set()
        # When what still runs is cancelled, in the loop's time.
        self._end = math.inf
        self._ending: asyncio.TimerHandle | None = None

    def join(
        self,
        key: str,
        start: Callable[[Progress], Coroutine[Any, Any, T]],
        *,
        title: str,
        client: str = "",
        still: Callable[[Job[T]], bool] = lambda _: True,
    ) -> Job[T]:
        """The running or remembered job of this key, else a new one; never waits.

        ``client`` is the address whose share of the queues the job may use, with those of the
        others that join it.
        ``still`` says of one that has ended whether it would end so again.  Raises Draining if
        a new one would have to be started after ``drain``.
        """
        if job := self._running.get(key):
            self.counts.joined += 1
            job.progress.clients.add(client)
            return job
        if job := self.remembered(key, still):
            self.counts.remembered += 1
            return job
        if self.draining:
            raise Draining("the server is stopping and starts no new builds; ask again shortly")
        job = Job[T](identifier=secrets.token_hex(6), title=title)
        job.progress.clients.add(client)
        # An empty context: nothing of the request that came first may colour a build for all.
        context = Context()
        task = asyncio.get_running_loop().create_task(
            start(job.progress), context=context, name=f"job {job.identifier}"
        )
        self._running[key] = job
        self.counts.started += 1
        self._tasks.add(task)
        # A callback, not a wrapper: a task cancelled before its first step runs no code at all.
        task.add_done_callback(partial(self._settle, key, job), context=context)
        return job

    def failure(self, key: str, still: Callable[[Job[T]], bool]) -> RegistryError | None:
        """What a request for this key would be told at once, without a job being started."""
        job = None if key in self._running else self.remembered(key, still)
        return job.failure if job else None

    def remembered(self, key: str, still: Callable[[Job[T]], bool]) -> Job[T] | None:
        """The last one of this key that has ended; there may be another that runs."""
        outcome = self._outcomes.get(key)
        if outcome is None:
            return None
        job, until = outcome
        if self._clock() < until:
            return job if still(job) else None
        del self._outcomes[key]
        return None

    def find(self, identifier: str) -> Job[T] | None:
        if job := self._pages.get(identifier):
            return job
        others = chain(self._running.values(), self._answers())
        return next((job for job in others if job.identifier == identifier), None)

    @property
    def running(self) -> tuple[Job[T], ...]:
        """Oldest first."""
        return tuple(self._running.values())

    @property
    def finished(self) -> tuple[Job[T], ...]:
        """Latest first, and after them the failures that have no more than their answer.

        A job that found everything done already has no page.
        """
        others = [job for job in self._answers() if job.identifier not in self._pages]
        return (*reversed(self._pages.values()), *reversed(others))

    @property
    def draining(self) -> bool:
        return self._end < math.inf

    async def drain(self, seconds: float) -> None:
        """Start nothing more; give what runs ``seconds`` to finish, then cancel it.

        Whoever asks again waits for the same end, or brings it forward: nothing gets more time,
        or is cancelled twice.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if end < self._end:
            self._end = end
            if self._ending is not None:
                self._ending.cancel()
            self._ending = loop.call_at(end, self._cancel)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds + _CANCEL_SECONDS)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel("the server is stopping")

    def _settle(self, key: str, job: Job[T], task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            stopped = Draining("the server stopped while it built this; ask again")
            self._fail(key, job, _as_registry_error(stopped, job))
        elif error := task.exception():
            self._fail(key, job, _as_registry_error(error, job))
        else:
            job.succeed(task.result())
            if job.progress.stage:
                self.counts.succeeded += 1
                logger.bind(build=job.identifier).info(
                    "{} done after {:.1f} s", job.title, job.seconds
                )
            else:
                self.counts.found += 1
            self._close(key, job, self._result_seconds)

    def _fail(self, key: str, job: Job[T], error: RegistryError) -> None:
        job.fail(error)
        self.counts.failed += 1
        self._close(key, job, self._failures.seconds(error))

    def _close(self, key: str, job: Job[T], remember_seconds: float) -> None:
        del self._running[key]
        before = self.remembered(key, lambda before: before.failure is job.failure is not None)
        if before is not None:
            # It was told again: it is no younger for that, and has no more to read.
            job.page = before.page
            return
        if remember_seconds > 0:
            self._outcomes[key] = (job, self._clock() + remember_seconds)
        while len(self._outcomes) > self._remember:
            self._outcomes.popitem(last=False)
        # No message leads to these, and typing errors cost nothing: a few hundred would push out
        # what others were sent to read.
        unread = isinstance(job.failure, TooManyRequests | ManifestUnknown)
        if (job.progress.stage or job.failure) and not unread:
            self._pages[job.identifier] = job
            self._clean(job)
        else:
            job.progress.drop_log()
        while len(self._pages) > self._history:
            _, oldest = self._pages.popitem(last=False)
            oldest.progress.drop_log()  # its outcome may be remembered for longer

    def _clean(self, job: Job[T]) -> None:
        """The log of a finished job, a part in each turn of the event loop: cleaned it is short."""
        if not job.progress.clean(_LINES_AT_ONCE):
            asyncio.get_running_loop().call_soon(self._clean, job)

    def _answers(self) -> Iterator[Job[T]]:
        """Failures that whoever asks again is told, and led to the page of."""
        now = self._clock()
        return (job for job, until in self._outcomes.values() if job.failure and now < until)


def _as_registry_error(error: BaseException, job: Job[T]) -> RegistryError:
    if isinstance(error, RegistryError):
        _log(error, job)
        # It is remembered; the frames it came through, and all they refer to, need not be.
        error.__cause__ = error.__context__ = None
        return error
    logger.bind(build=job.identifier).opt(exception=error).error("the build of {} broke", job.title)
    return RegistryError("internal error")


def _log(error: RegistryError, job: Job[T]) -> None:
    """Once for each failure, however many wait for it, and also where nobody does any more."""
    told = logger.bind(build=job.identifier)
    if cause := error.__cause__:
        told = told.bind(cause=line(f"{type(cause).__name__}: {cause}", _LOG_LIMIT))
    level = "WARNING" if isinstance(error, Unavailable) else "INFO"
    if isinstance(error, TooManyRequests):
        level = "DEBUG"  # as many as clients like, and /debug counts the responses
    message = line(error.message, _LOG_LIMIT)
    told.log(level, "{} failed after {:.1f} s: {}", job.title, job.seconds, message)
