"""Jobs, and the queues that they wait in."""

from app.builder.builds.build import WorkQueues
from app.builder.builds.preview import ImagePreview
from app.builder.images.image import Built
from app.builder.jobs.failures import FailureLifetimes
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.queues import WorkQueue
from app.settings.settings import Settings
from app.system.loop_share import LoopShare

_HISTORY = 200
_OUTCOMES = 10_000
_TRANSIENT_SECONDS = 10
_PREVIEW_FAILURES = 1_000


def new_jobs(settings: Settings, loop_share: LoopShare) -> Jobs[Built]:
    return Jobs(
        failures=_failures(settings),
        result_seconds=0,
        remember=_OUTCOMES,
        history=_HISTORY,
        loop_share=loop_share,
    )


def _failures(settings: Settings) -> FailureLifetimes:
    return FailureLifetimes(
        transient=min(settings.failure_seconds, _TRANSIENT_SECONDS),
        failed=settings.failure_seconds,
        unknown=max(settings.failure_seconds, settings.revision_seconds),
    )


def preview_jobs(settings: Settings, loop_share: LoopShare) -> Jobs[ImagePreview]:
    """Return jobs without pages; what they found may change at once, so it is not remembered."""
    failures = _failures(settings)
    return Jobs(
        failures=failures,
        result_seconds=0,
        remember=_PREVIEW_FAILURES,
        history=0,
        loop_share=loop_share,
    )


def preview_queue(settings: Settings) -> WorkQueue:
    return _queue(settings, "previews", at_once=2, expected_seconds=2)


def evaluation_queue(settings: Settings) -> WorkQueue:
    return _queue(settings, "evaluation", at_once=settings.evaluations, expected_seconds=2)


def work_queues(settings: Settings) -> WorkQueues:
    return WorkQueues(
        building=_queue(settings, "building", at_once=settings.builds, expected_seconds=30),
        packing=_queue(settings, "packing", at_once=settings.packings, expected_seconds=5),
        packing_seconds=settings.packing_seconds,
    )


def _queue(settings: Settings, name: str, *, at_once: int, expected_seconds: float) -> WorkQueue:
    return WorkQueue(
        name,
        at_once=at_once,
        waiting=settings.queue,
        share=settings.client_share,
        expected_seconds=expected_seconds,
    )
