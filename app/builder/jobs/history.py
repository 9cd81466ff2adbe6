"""The pages of the jobs that ended last, and the log lines of failures."""

import asyncio
from typing import Any

from loguru import logger

from app.builder.jobs.job import Job
from app.errors import ManifestUnknown, RegistryError, TooManyRequests, Unavailable
from app.text.sanitize import one_line

_LOG_LIMIT = 500
_LINES_AT_ONCE = 50


class JobHistory:
    """The last ``limit`` jobs, in the order in which they ended.

    This is not a cache: a page that is read often is dropped like all others.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._jobs: dict[str, Job[Any]] = {}

    @property
    def latest(self) -> tuple[Job[Any], ...]:
        """Latest first."""
        return tuple(reversed(self._jobs.values()))

    def __contains__(self, job: Job[Any]) -> bool:
        return job.identifier in self._jobs

    def find(self, identifier: str) -> Job[Any] | None:
        return self._jobs.get(identifier)

    def add(self, job: Job[Any]) -> None:
        """Keep the job's page; drop the log of a job without one."""
        if _has_page(job):
            self._jobs[job.identifier] = job
            self._clean(job)
        else:
            job.progress.drop_log()
        while len(self._jobs) > self.limit:
            oldest = self._jobs.pop(next(iter(self._jobs)))
            oldest.progress.drop_log()  # its outcome may be remembered for longer

    def _clean(self, job: Job[Any]) -> None:
        """Sanitize the log of a finished job, a part in each turn of the event loop."""
        if not job.progress.clean(_LINES_AT_ONCE):
            asyncio.get_running_loop().call_soon(self._clean, job)


def _has_page(job: Job[Any]) -> bool:
    """Return whether the job gets a page.

    Messages of unknown names and of full queues do not link to a page, and clients may cause any
    number of them: they would evict the pages that other clients were sent to.
    """
    if job.failure is None:
        return bool(job.stage)
    return not issubclass(job.failure.kind, TooManyRequests | ManifestUnknown)


def log_failure(error: BaseException, job: Job[Any]) -> RegistryError:
    """Log a failure once for all clients; return it as a RegistryError."""
    log = logger.bind(build=job.identifier)
    if not isinstance(error, RegistryError):
        log.opt(exception=error).error("the build of {} failed unexpectedly", job.title)
        return RegistryError("internal error")
    if cause := error.__cause__:
        log = log.bind(cause=one_line(f"{type(cause).__name__}: {cause}", _LOG_LIMIT))
    level = "WARNING" if isinstance(error, Unavailable) else "INFO"
    if isinstance(error, TooManyRequests):
        level = "DEBUG"  # clients may cause any number; /debug counts the responses
    message = one_line(error.message, _LOG_LIMIT)
    log.log(level, "{} failed after {:.1f} s: {}", job.title, job.seconds, message)
    return error
