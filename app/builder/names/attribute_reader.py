"""Evaluate single names and sets of a revision, each once, in a queue."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from app.builder.evaluation.evaluator import Pinned, opened
from app.builder.jobs.failures import FailureLifetimes
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.names.attribute_names import packages_among
from app.builder.names.name_index import NameIndex
from app.builder.nix.door import Evaluation, NixEvaluator
from app.errors import EvaluationFailed
from app.oci import Digest
from app.system.workers import Workers

T = TypeVar("T")

_QUEUE = 8
_EXPECTED_SECONDS = 2
_SETS = 16  # kept in memory; one of 10,000 names takes some 5 MB
_CHECKS = 1000
_FAILED_SECONDS = 600
_TRANSIENT_SECONDS = 10


class AttributeReader:
    """Reads single names and sets of revisions.

    One evaluation runs at a time; it continues when its callers leave.
    """

    def __init__(self, *, nix: NixEvaluator, workers: Workers) -> None:
        self._nix = nix
        self._workers = workers
        self._queue = WorkQueue(
            "names", at_once=1, waiting=_QUEUE, expected_seconds=_EXPECTED_SECONDS
        )
        self._sets: Jobs[NameIndex] = lasting_jobs(_SETS)
        self._checks: Jobs[frozenset[str]] = lasting_jobs(_CHECKS)

    async def within(self, key: Digest, pinned: Pinned, name: str) -> NameIndex:
        """Return the names in one set, listed or not; an empty index without a set of this name.

        ``key`` is that of the revision's names.  Raises SourceUnavailable, TooManyRequests,
        Draining.
        """

        async def read(evaluation: Evaluation) -> NameIndex:
            try:
                inner = await self._nix.names_within(evaluation, name)
            except EvaluationFailed:
                inner = ()
            return await self._workers.run(NameIndex.of, [f"{name}.{one}" for one in inner])

        job = self._sets.join(f"{key} {name}", self._start(pinned, read), title=f"set {name}")
        return await _result(job.wait(None))

    async def packages(self, key: Digest, pinned: Pinned, names: Sequence[str]) -> frozenset[str]:
        """Return the names that are packages.  Raises the errors of ``within``."""

        async def read(evaluation: Evaluation) -> frozenset[str]:
            return await packages_among(self._nix, evaluation, names)

        job = self._checks.join(
            f"{key} {' '.join(names)}", self._start(pinned, read), title=f"names {names[0]}, ..."
        )
        return await _result(job.wait(None))

    async def close(self) -> None:
        await self._sets.drain(0)
        await self._checks.drain(0)

    def _start(
        self, pinned: Pinned, read: Callable[[Evaluation], Coroutine[Any, Any, T]]
    ) -> Callable[[Progress], Coroutine[Any, Any, T]]:
        async def start(progress: Progress) -> T:
            async with self._queue.slot(progress), opened(pinned) as evaluation:
                return await read(evaluation)

        return start


def lasting_jobs(remember: int) -> Jobs[Any]:
    """Return jobs without pages, whose results do not expire."""
    return Jobs(
        failures=FailureLifetimes(
            transient=_TRANSIENT_SECONDS, failed=_FAILED_SECONDS, unknown=_FAILED_SECONDS
        ),
        result_seconds=float("inf"),
        remember=remember,
        history=0,
    )


async def _result(waiting: Coroutine[Any, Any, T | None]) -> T:
    found = await waiting
    assert found is not None, "without a time limit the wait ends with the job"
    return found
