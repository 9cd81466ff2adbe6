"""Joining, remembering and draining: whatever clients do, a build is started once."""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.builder.jobs.failures import FailureLifetimes
from app.builder.jobs.job import Job, JobState
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.errors import BuildFailed, Draining, PackagesUnknown, RegistryError, TooManyRequests
from app.system.loop_share import LoopShare
from tests.waiting import turns

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="no request")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Counts its starts, and ends when the test allows it."""

    def __init__(self, result: str | Exception = "image") -> None:
        self.starts = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()
        self._result = result

    async def __call__(self, progress: Progress) -> str:
        self.starts += 1
        progress.enter("evaluation")
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> Jobs[str]:
    return new_jobs(clock)


def new_jobs(
    clock: Callable[[], float],
    *,
    remember: int = 100,
    history: int = 10,
    loop_share: LoopShare | None = None,
) -> Jobs[str]:
    return Jobs(
        failures=FailureLifetimes(transient=5, failed=60, unknown=600),
        result_seconds=600,
        remember=remember,
        history=history,
        clock=clock,
        loop_share=loop_share,
    )


async def finished(jobs: Jobs[str], work: Work, key: str = "a") -> Job[str]:
    work.may_end.set()
    job = jobs.join(key, work, title=key)
    with contextlib.suppress(RegistryError):
        await job.wait(5)
    return job


@pytest.mark.slow
async def test_twenty_waiters_share_one_build(jobs: Jobs[str]) -> None:
    work = Work()

    waits = [asyncio.ensure_future(jobs.join("a", work, title="a").wait(5)) for _ in range(20)]
    await asyncio.sleep(0)
    work.may_end.set()

    assert await asyncio.gather(*waits) == ["image"] * 20
    assert work.starts == 1
    assert (jobs.counts.started, jobs.counts.joined, jobs.counts.succeeded) == (1, 19, 1)


async def test_a_job_takes_no_longer_when_the_clock_of_the_machine_is_set() -> None:
    job: Job[str] = Job(title="image")
    for jump in (timedelta(days=1), timedelta(days=-1)):
        job.started_at = datetime.now(UTC) + jump
        assert 0 <= job.seconds < 3600

    job.succeed("image")

    assert 0 <= job.seconds < 3600
    assert Job(title="next step", after=job).seconds >= job.seconds


async def test_a_waiter_that_leaves_cancels_nothing(jobs: Jobs[str]) -> None:
    work = Work()
    job = jobs.join("a", work, title="a")
    waiter = asyncio.ensure_future(job.wait(None))
    await asyncio.sleep(0)

    waiter.cancel()
    await asyncio.wait({waiter})
    work.may_end.set()

    assert await job.wait(5) == "image"
    assert work.cancelled == 0


async def test_waiting_ends_with_none_while_the_build_continues(jobs: Jobs[str]) -> None:
    job = jobs.join("a", Work(), title="a")

    assert await job.wait(0.01) is None
    assert job.state is JobState.RUNNING
    await jobs.drain(0)


@pytest.mark.slow
async def test_a_build_without_waiters_survives_the_garbage_collector(jobs: Jobs[str]) -> None:
    work = Work()
    job = jobs.join("a", work, title="a")
    await asyncio.sleep(0)

    gc.collect()
    work.may_end.set()

    assert await job.wait(5) == "image"


async def test_a_build_does_not_run_in_the_context_of_its_first_request(jobs: Jobs[str]) -> None:
    REQUEST.set("the first client's")

    async def look(_: Progress) -> str:
        return REQUEST.get()

    assert await jobs.join("a", look, title="a").wait(5) == "no request"


async def test_a_result_is_remembered_until_it_expires(jobs: Jobs[str], clock: Clock) -> None:
    work = Work()
    first = await finished(jobs, work)

    clock.now = 599
    assert jobs.join("a", work, title="a") is first
    clock.now = 601
    again = jobs.join("a", work, title="a")
    await again.wait(5)

    assert again is not first
    assert work.starts == 2


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(BuildFailed("gcc failed"), 60), (PackagesUnknown(("helo",)), 600), (OSError("bug"), 5)],
    ids=["build failure", "unknown package", "internal error"],
)
async def test_a_failure_is_remembered_as_long_as_it_lasts(
    jobs: Jobs[str], clock: Clock, error: Exception, seconds: float
) -> None:
    work = Work(error)
    await finished(jobs, work)

    clock.now = seconds - 0.1
    await finished(jobs, work)
    assert work.starts == 1
    clock.now = seconds + 0.1
    await finished(jobs, work)
    assert work.starts == 2


async def test_a_full_queue_is_not_remembered(jobs: Jobs[str]) -> None:
    work = Work(TooManyRequests("full", retry_after=3))

    await finished(jobs, work)
    await finished(jobs, work)

    assert work.starts == 2


async def test_every_waiter_gets_the_failure(jobs: Jobs[str]) -> None:
    work = Work(BuildFailed("gcc failed"))
    job = await finished(jobs, work)

    for _ in range(3):
        with pytest.raises(BuildFailed) as caught:
            await job.wait(5)
        assert caught.value.page == job.identifier
        # The error is raised for every waiter; a traceback must not grow with each.
        assert len(caught.traceback) <= 3
    assert jobs.find(job.identifier) is job
    assert job.state is JobState.FAILED


async def test_a_bug_reaches_the_client_as_internal_error_only(jobs: Jobs[str]) -> None:
    job = await finished(jobs, Work(OSError("/etc/shadow is not readable")))

    with pytest.raises(RegistryError) as caught:
        job.result()
    assert caught.value.message == "internal error"
    assert type(caught.value) is RegistryError


async def test_the_failure_of_a_key_is_known_until_it_is_invalidated(jobs: Jobs[str]) -> None:
    work = Work(PackagesUnknown(("helo",)))
    first = await finished(jobs, work)

    assert jobs.failure("a") == first.failure
    assert jobs.failure("b") is None
    jobs.invalidate("a")

    assert jobs.failure("a") is None
    assert await finished(jobs, work) is not first


async def test_the_result_of_a_key_is_known_while_it_is_remembered(
    jobs: Jobs[str], clock: Clock
) -> None:
    await finished(jobs, Work(), "built")
    await finished(jobs, Work(BuildFailed("gcc failed")), "failed")

    assert jobs.remembered_result("built") == "image"
    assert jobs.remembered_result("failed") is None
    clock.now = 601
    assert jobs.remembered_result("built") is None


async def test_draining_lets_running_builds_finish_and_refuses_new_ones(jobs: Jobs[str]) -> None:
    work = Work()
    job = jobs.join("a", work, title="a")
    drain = asyncio.ensure_future(jobs.drain(5))
    await asyncio.sleep(0)

    with pytest.raises(Draining):
        jobs.join("b", Work(), title="b")
    assert jobs.join("a", work, title="a") is job
    work.may_end.set()
    await drain

    assert job.result() == "image"
    assert jobs.join("a", work, title="a") is job


async def test_a_build_that_outlasts_the_grace_period_is_cancelled(jobs: Jobs[str]) -> None:
    work = Work()
    job = jobs.join("a", work, title="a")
    await asyncio.sleep(0)

    await jobs.drain(0.01)

    assert work.cancelled == 1
    with pytest.raises(Draining):
        job.result()


async def test_a_second_drain_waits_for_the_first_and_cancels_no_build_again(
    jobs: Jobs[str],
) -> None:
    cancelled, may_end = asyncio.Event(), asyncio.Event()

    async def tidying(_: Progress) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await may_end.wait()
        raise AssertionError

    job = jobs.join("a", tidying, title="a")
    await asyncio.sleep(0)
    first = asyncio.ensure_future(jobs.drain(0))
    await cancelled.wait()

    second = asyncio.ensure_future(jobs.drain(0))
    await turns()
    assert job.finished_at is None
    may_end.set()
    await asyncio.gather(first, second)

    assert job.state is JobState.FAILED


async def test_a_later_drain_may_only_shorten_the_grace_period(
    jobs: Jobs[str],
) -> None:
    work = Work()
    jobs.join("a", work, title="a")
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        drains = [asyncio.ensure_future(jobs.drain(seconds)) for seconds in (60, 0.05, 60)]
        await asyncio.gather(*drains)

    assert work.cancelled == 1


async def test_a_build_cancelled_before_its_first_step_fails(jobs: Jobs[str]) -> None:
    job = jobs.join("a", Work(), title="a")

    await jobs.drain(0)

    assert jobs.running == ()
    with pytest.raises(Draining):
        await job.wait(1)


async def test_pages_are_bounded_and_latest_first(clock: Clock) -> None:
    jobs = new_jobs(clock, history=2)

    oldest, middle, latest = [await finished(jobs, Work(), key) for key in "abc"]

    assert jobs.finished == (latest, middle)
    assert jobs.find(oldest.identifier) is None
    assert jobs.find(middle.identifier) is middle
    assert oldest.progress.log == ()
    assert latest.progress.log == ("evaluation",)


async def test_failures_whose_messages_have_no_link_evict_no_page(clock: Clock) -> None:
    jobs = new_jobs(clock, history=2)
    failed = await finished(jobs, Work(BuildFailed("gcc failed")), "gcc")
    built = await finished(jobs, Work(), "git")

    unread = [PackagesUnknown(("helo",)), TooManyRequests("full", retry_after=3)]
    typos = [await finished(jobs, Work(unread[n % 2]), f"typo{n}") for n in range(10)]

    assert jobs.finished[:2] == (built, failed)
    assert failed.progress.log == ("evaluation",)
    assert [typo.progress.log for typo in typos] == [()] * 10


async def test_a_failure_has_a_page_as_long_as_it_is_remembered(clock: Clock) -> None:
    jobs = new_jobs(clock, history=2)
    failed = await finished(jobs, Work(BuildFailed("gcc failed")), "gcc")
    latest = [await finished(jobs, Work(), f"git{n}") for n in range(3)]

    clock.now = 59
    assert await finished(jobs, Work(), "gcc") is failed
    assert jobs.find(failed.identifier) is failed
    assert list(jobs.finished) == [latest[2], latest[1], failed]
    assert failed.progress.log == ()

    clock.now = 61
    assert jobs.find(failed.identifier) is None
    assert list(jobs.finished) == [latest[2], latest[1]]


async def test_outcomes_are_bounded(clock: Clock) -> None:
    jobs = new_jobs(clock, remember=2)
    work = Work()

    for key in "abca":
        await finished(jobs, work, key)

    assert work.starts == 4


async def test_a_build_without_work_has_no_page(jobs: Jobs[str]) -> None:
    async def nothing_to_do(_: Progress) -> str:
        return "image"

    job = jobs.join("a", nothing_to_do, title="a")
    await job.wait(5)

    assert jobs.finished == ()
    assert (jobs.counts.found, jobs.counts.succeeded) == (1, 0)


async def test_a_running_build_is_found_by_its_identifier(jobs: Jobs[str]) -> None:
    job = jobs.join("a", Work(), title="shell/git")

    assert jobs.find(job.identifier) is job
    assert jobs.running == (job,)
    assert jobs.find("0123456789ab") is None
    await jobs.drain(0)


async def test_jobs_run_in_a_share_of_the_loop_and_one_that_is_stopped_before_leaves_nothing(
    clock: Clock,
) -> None:
    jobs = new_jobs(clock, loop_share=LoopShare(seconds=0))
    order: list[str] = []

    async def work(_: Progress) -> str:
        for number in range(3):
            order.append(f"{number}")
            await asyncio.sleep(0)
        return "done"

    started = [jobs.join(f"{number}", work, title="x") for number in range(20)]
    await turns(5)
    between = len(order)
    await jobs.drain(0)

    assert 0 < between < 20
    for job in started:
        with pytest.raises(Draining):
            await job.wait(None)
    assert await jobs_done(new_jobs(clock, loop_share=LoopShare(seconds=0)), work) == ["done"] * 20


async def jobs_done(
    jobs: Jobs[str], work: Callable[[Progress], Coroutine[Any, Any, str]]
) -> list[str | None]:
    started = [jobs.join(f"{number}", work, title="x") for number in range(20)]
    return [await job.wait(None) for job in started]
