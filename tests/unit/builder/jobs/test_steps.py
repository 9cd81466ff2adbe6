"""Steps: a job that finds out what to do, and the job of that, which others may share."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

import pytest

from app.builder.jobs.failures import FailureLifetimes
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import AnyJob, Jobs
from app.builder.jobs.progress import Progress
from app.builder.jobs.steps import Steps
from app.errors import BuildFailed, Draining, SourceUnavailable

Find = Callable[[Job[Job[str]]], Coroutine[None, None, Job[str]]]


class Builds:
    """Names of builds into images, each after its tag was resolved."""

    def __init__(self) -> None:
        self.jobs: Jobs[str] = Jobs(
            failures=FailureLifetimes(transient=5, failed=60, unknown=600),
            result_seconds=0,
            remember=100,
            history=10,
        )
        self.resolved = asyncio.Event()
        self.built = asyncio.Event()
        self.error: Exception | None = None
        self.builds = 0

    def pull(self, tag: str, revision: str = "1", client: str = "") -> Steps[str]:
        return Steps(self.jobs.join_step(tag, self._find(revision), title=tag, client=client))

    def _find(self, revision: str) -> Find:
        async def find(job: Job[Job[str]]) -> Job[str]:
            await self.resolved.wait()
            return self.jobs.follow(revision, self._build, after=job)

        return find

    async def _build(self, progress: Progress) -> str:
        self.builds += 1
        progress.enter("packing")
        await self.built.wait()
        if self.error is not None:
            raise self.error
        return "image"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def builds() -> Builds:
    return Builds()


async def test_the_second_step_continues_the_page_of_the_first(builds: Builds) -> None:
    pull = builds.pull("latest", client="192.0.2.1")
    page = pull.identifier
    assert (pull.result(), pull.stage) == (None, "")

    builds.resolved.set()
    await settle()

    [job] = builds.jobs.running
    assert job.identifier == pull.identifier == page
    assert (pull.title, job.title, pull.stage) == ("latest", "latest", "packing")
    assert list(job.progress.clients) == ["192.0.2.1"]
    builds.built.set()
    assert await pull.wait(5) == pull.result() == "image"
    assert builds.jobs.finished == (job,)


async def test_two_steps_count_as_one_build(builds: Builds) -> None:
    builds.resolved.set()
    builds.built.set()

    await builds.pull("latest").wait(5)

    counts = builds.jobs.counts
    assert (counts.started, counts.succeeded, counts.found) == (1, 1, 0)


async def test_waiting_time_is_that_of_both_steps(builds: Builds) -> None:
    clock = asyncio.get_running_loop().time
    begin = clock()
    pull = builds.pull("latest")
    asyncio.get_running_loop().call_later(3, builds.resolved.set)

    assert await pull.wait(2) is None
    assert await pull.wait(2) is None
    assert clock() - begin == pytest.approx(4)
    builds.built.set()
    assert await pull.wait(None) == "image"


async def test_several_tags_of_one_revision_share_one_build_and_its_failure(
    builds: Builds,
) -> None:
    builds.resolved.set()
    builds.error = BuildFailed("gcc failed")
    first, second = builds.pull("latest", client="a"), builds.pull("main", client="b")
    await settle()
    assert first.identifier == second.identifier
    assert list(builds.jobs.running[0].progress.clients) == ["a", "b"]
    builds.built.set()

    pages = set()
    for pull in (first, second, builds.pull("stable")):
        with pytest.raises(BuildFailed) as raised:
            await pull.wait(5)
        pages.add(raised.value.page)

    assert pages == {first.identifier}
    assert builds.builds == 1


async def test_a_tag_that_moved_does_not_get_the_failure_of_before(builds: Builds) -> None:
    builds.resolved.set()
    builds.built.set()
    builds.error = BuildFailed("gcc failed")
    with pytest.raises(BuildFailed):
        await builds.pull("latest", "1").wait(5)
    builds.error = None

    assert await builds.pull("latest", "2").wait(5) == "image"
    with pytest.raises(BuildFailed):
        await builds.pull("latest", "1").wait(5)


async def test_a_failure_to_resolve_belongs_to_the_tag(builds: Builds) -> None:
    async def fail(_: Job[Job[str]]) -> Job[str]:
        raise SourceUnavailable("the source cannot be reached")

    pulls: list[Steps[str]] = [
        Steps(builds.jobs.join_step("latest", fail, title="latest")) for _ in range(2)
    ]

    for pull in pulls:
        with pytest.raises(SourceUnavailable) as raised:
            await pull.wait(5)
        assert raised.value.page == pull.identifier
    assert builds.jobs.counts.failed == 1


async def test_a_step_may_lead_to_another_step_that_others_share(builds: Builds) -> None:
    succeeded: list[str] = []

    async def resolve(job: AnyJob) -> AnyJob:
        await builds.resolved.wait()
        return builds.jobs.follow_step("package set", find, after=job)

    async def find(job: AnyJob) -> AnyJob:
        return builds.jobs.follow("1", builds._build, after=job)

    pulls: list[Steps[str]] = []
    for tag in ("latest", "main"):
        pull: Steps[str] = Steps(builds.jobs.join_step(tag, resolve, title=tag))
        pull.when_succeeded(tag, partial(succeeded.append, tag))
        pulls.append(pull)
    pulls.append(Steps(builds.jobs.join_step("package set", find, title="again")))
    pulls[-1].when_succeeded("again", partial(succeeded.append, "again"))
    builds.resolved.set()
    await settle()
    assert len({pull.identifier for pull in pulls}) == 1
    assert not succeeded
    builds.built.set()

    assert [await pull.wait(5) for pull in pulls] == ["image"] * 3

    assert sorted(succeeded) == ["again", "latest", "main"]
    assert builds.builds == builds.jobs.counts.succeeded == 1


async def test_a_client_that_leaves_while_its_tag_is_resolved_ends_no_step(builds: Builds) -> None:
    waiter = asyncio.ensure_future(builds.pull("latest").wait(None))
    await settle()
    waiter.cancel()
    await asyncio.wait({waiter})

    builds.resolved.set()
    builds.built.set()
    await settle()

    assert builds.builds == 1
    assert builds.jobs.counts.succeeded == 1


async def test_a_pull_accepted_before_the_stop_is_built_within_the_time_that_is_left(
    builds: Builds,
) -> None:
    pull = builds.pull("latest")
    await settle()
    stop = asyncio.ensure_future(builds.jobs.drain(5))
    await settle()

    builds.resolved.set()
    await settle()
    with pytest.raises(Draining):
        builds.pull("main")
    builds.built.set()
    await stop

    assert pull.result() == "image"


@pytest.mark.parametrize("resolved", [False, True])
async def test_a_stop_cancels_whichever_step_runs(builds: Builds, *, resolved: bool) -> None:
    pull = builds.pull("latest")
    if resolved:
        builds.resolved.set()
    await settle()

    await builds.jobs.drain(0)

    with pytest.raises(Draining):
        pull.result()
    assert builds.jobs.running == ()


async def test_functions_for_success_are_called_once_for_each_key(builds: Builds) -> None:
    called: list[str] = []
    builds.resolved.set()
    pull = builds.pull("latest")
    await settle()
    [job] = builds.jobs.running
    for key in ("a", "a", "b"):
        job.when_succeeded(key, partial(called.append, key))

    builds.built.set()
    await pull.wait(5)
    job.when_succeeded("c", partial(called.append, "c"))

    assert called == ["a", "b", "c"]


async def test_the_page_of_a_step_leads_to_the_build_that_another_client_started(
    builds: Builds,
) -> None:
    first = builds.pull("latest", client="a")
    second = builds.pull("stable", client="b")
    pages = (first.identifier, second.identifier)
    builds.resolved.set()
    await settle()

    running = {page: builds.jobs.find(page) for page in pages}
    assert builds.builds == 1
    assert running[pages[0]] is running[pages[1]] is not None

    builds.built.set()
    assert await second.wait(None) == "image"
    assert builds.jobs.find(pages[0]) is builds.jobs.find(pages[1]) is not None


async def test_a_build_without_work_has_a_page_for_a_client_that_was_sent_to_it() -> None:
    builds = Builds()

    async def nothing(_: Progress) -> str:
        return "image"

    job = builds.jobs.join("key", nothing, title="image")
    await job.wait(None)

    assert builds.jobs.find(job.identifier) is job
    assert builds.jobs.finished == ()
