"""Jobs that the server owns: one for each key, joined by all clients that request it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar

from loguru import logger

from app.builder.jobs.failures import FailureLifetimes
from app.builder.jobs.history import JobHistory, log_failure
from app.builder.jobs.job import Job
from app.builder.jobs.progress import Progress
from app.builder.jobs.tasks import JobTasks
from app.errors import Draining
from app.failure import Failure
from app.system.cache import Cache
from app.system.loop_share import LoopShare
from app.telemetry.request_id import REQUEST_ID

T = TypeVar("T")
AnyJob = Job[Any]
Work = Callable[[AnyJob], Coroutine[Any, Any, Any]]
Find = Callable[[AnyJob], Coroutine[Any, Any, AnyJob]]


@dataclass(slots=True)
class JobCounts:
    """Counts since the process started.

    ``joined`` and ``remembered`` count requests that found a job running or its outcome in
    memory; ``found`` counts jobs that had nothing to do.  A job and the job that continues it
    count once.
    """

    started: int = 0
    joined: int = 0
    remembered: int = 0
    found: int = 0
    succeeded: int = 0
    failed: int = 0


class Jobs(Generic[T]):
    """Starts at most one job for each key, and remembers how it ended.

    ``remember`` bounds the outcomes that are kept, ``history`` the pages with their logs.
    ``loop_share`` is that of the event loop in which the jobs run, with others; None for no limit.
    A failure has a page, perhaps without its log, for as long as it is remembered.
    """

    def __init__(
        self,
        *,
        failures: FailureLifetimes,
        result_seconds: float,
        remember: int,
        history: int,
        clock: Callable[[], float] = time.monotonic,
        loop_share: LoopShare | None = None,
    ) -> None:
        self.counts = JobCounts()
        self._ended: Callable[[str, AnyJob], None] = lambda _outcome, _job: None
        self._failures = failures
        self._result_seconds = result_seconds
        self._running: dict[str, AnyJob] = {}
        self._outcomes: Cache[str, AnyJob] = Cache(remember, clock=clock)
        self._pages = JobHistory(history)
        # Jobs without a page, or that were followed by one of another client: a client that was
        # given the page of such a job finds its outcome.
        self._settled: Cache[str, AnyJob] = Cache(max(history, 1), clock=clock)
        self._tasks = JobTasks()
        self._loop_share = loop_share

    def observe(self, ended: Callable[[str, AnyJob], None]) -> None:
        """Call ``ended`` with the outcome at the end of each job that had something to do."""
        self._ended = ended

    def join(
        self,
        key: str,
        start: Callable[[Progress], Coroutine[Any, Any, T]],
        *,
        title: str,
        client: str = "",
    ) -> Job[T]:
        """Return the running or remembered job of this key, or start one; never wait.

        The job uses the queue shares of ``client``, an address, and of all clients that join
        it.  Raises Draining if a job would have to be started after ``drain``.
        """
        return self._join(key, lambda job: start(job.progress), title, client)

    def join_step(
        self,
        key: str,
        find: Find,
        *,
        title: str,
        client: str = "",
    ) -> AnyJob:
        """Like ``join``, for a job whose result is the job that continues it."""
        return self._join(key, find, title, client)

    def follow(
        self,
        key: str,
        start: Callable[[Progress], Coroutine[Any, Any, T]],
        *,
        after: AnyJob,
    ) -> Job[T]:
        """Continue a job in that of another key.

        The key's job is started even after ``drain``, because the server accepted the request
        before.
        """
        return self._follow(key, lambda job: start(job.progress), after)

    def follow_step(self, key: str, find: Find, *, after: AnyJob) -> AnyJob:
        """Like ``follow``, for a job whose result is the job that continues it."""
        return self._follow(key, find, after)

    def failure(self, key: str) -> Failure | None:
        """Return the remembered failure of this key."""
        job = self._outcomes.get(key)
        return job.failure if job else None

    def remembered_result(self, key: str) -> T | None:
        job = self._outcomes.get(key)
        return job.result() if job and not job.failure else None

    def invalidate(self, key: str) -> None:
        """Remove the remembered outcome of this key."""
        self._outcomes.pop(key)

    def find(self, identifier: str) -> AnyJob | None:
        """Return the job with this page, or the job in which it continued."""
        if job := self._pages.find(identifier):
            return job
        others = chain(self._running.values(), self._remembered_failures())
        job = next((job for job in others if job.identifier == identifier), None)
        return job or self._settled.get(identifier)

    @property
    def running(self) -> tuple[AnyJob, ...]:
        """Oldest first."""
        return tuple(self._running.values())

    @property
    def finished(self) -> tuple[AnyJob, ...]:
        """Latest first, then the remembered failures whose page has no log.

        A job that had nothing to do does not have a page.
        """
        others = [job for job in self._remembered_failures() if job not in self._pages]
        return (*self._pages.latest, *reversed(others))

    @property
    def draining(self) -> bool:
        return self._tasks.draining

    async def drain(self, seconds: float) -> None:
        """Refuse new jobs, and cancel those that still run after ``seconds``.

        Several calls may overlap: the earliest deadline applies, and each job is cancelled once.
        """
        await self._tasks.drain(seconds)

    def _follow(self, key: str, work: Work, after: AnyJob) -> AnyJob:
        job = self._running.get(key) or self._outcomes.get(key)
        if job is None:
            job = Job(title=after.title, after=after)
            self._start(key, job, work)
        for client in after.progress.clients:
            job.progress.clients.add(client)
        return job

    def _join(self, key: str, work: Work, title: str, client: str) -> AnyJob:
        if job := self._running.get(key):
            self.counts.joined += 1
            job.progress.clients.add(client)
            return job
        if job := self._outcomes.get(key):
            self.counts.remembered += 1
            return job
        if self.draining:
            raise Draining("the server is stopping and starts no new builds; try again shortly")
        self.counts.started += 1
        job = Job(title=title)
        job.progress.clients.add(client)
        self._start(key, job, work)
        return job

    def _start(self, key: str, job: AnyJob, work: Work) -> None:
        # A context of its own: of the request that started it, the job has only the identifier.
        context = Context()
        context.run(REQUEST_ID.set, job.request)
        share = self._loop_share
        running = work(job) if share is None else share.run_accepted(partial(work, job))
        task = asyncio.get_running_loop().create_task(
            running, context=context, name=f"job {job.identifier}"
        )
        self._running[key] = job
        self._tasks.add(task)
        # A callback, not a wrapper: a task cancelled before its first step runs no code at all.
        task.add_done_callback(partial(self._settle, key, job), context=context)

    def _settle(self, key: str, job: AnyJob, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        del self._running[key]
        if task.cancelled():
            self._fail(key, job, Draining("the server stopped while it built this; try again"))
        elif error := task.exception():
            self._fail(key, job, error)
        else:
            result = task.result()
            job.succeed(result)
            if isinstance(result, Job):  # which counts and has the page
                self._settled[job.identifier] = result
            else:
                self._settled[job.identifier] = job
                self._count(job)
                self._keep(key, job, self._result_seconds)

    def _count(self, job: AnyJob) -> None:
        if job.progress.stage:
            self.counts.succeeded += 1
            self._ended("succeeded", job)
            logger.bind(build=job.identifier).info("{} done after {:.1f} s", job.title, job.seconds)
        else:
            self.counts.found += 1

    def _fail(self, key: str, job: AnyJob, error: BaseException) -> None:
        known = log_failure(error, job)
        # Only jobs with a history have pages.
        job.fail(Failure.of(known, page=job.identifier if self._pages.limit else ""))
        self.counts.failed += 1
        self._ended("failed", job)
        self._keep(key, job, self._failures.seconds(known))

    def _keep(self, key: str, job: AnyJob, seconds: float) -> None:
        """Cache the outcome for ``seconds``, and keep the page."""
        if seconds > 0:
            self._outcomes.put(key, job, seconds=seconds)
        self._pages.add(job)

    def _remembered_failures(self) -> Iterator[AnyJob]:
        jobs = (self._outcomes.get(key) for key in self._outcomes)
        return (job for job in jobs if job is not None and job.failure)
