"""Caches and queues, over a git repository and, for failures, over a scripted upstream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from app.builder.nix.door import PackageSet
from app.builder.sources import tag_cache as memory
from app.builder.sources.definition import Definition, GitDefinition, PathDefinition
from app.builder.sources.path import PathUpstream
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.builder.sources.upstream import SourceMoved, Upstream
from app.errors import SourceUnavailable, TagUnknown, TooManyRequests
from app.reference import Tag
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.sources.git.repository import Repository, upstream
from tests.waiting import turns, until

MAIN = Tag("main")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """Returns or raises a given result, and counts the queries."""

    def __init__(self, answer: Revision | Exception) -> None:
        self.answer = answer
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def find(self, tag: str) -> Revision:
        assert tag
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def tags(self) -> tuple[str, ...]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return ("latest", "v1")

    def cached_tags(self) -> tuple[str, ...]:
        return ("v1", "v2")

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        yield PackageSet("path", revision.label)


REVISION = Revision(source="set", identity="commit:" + "a" * 40, date=None, moves=True)
DEFINITION = GitDefinition(name="set", location="https://example.org/r.git")


def source(
    upstream: Upstream,
    clock: Clock,
    *,
    storage: MemoryStorage | None = None,
    definition: Definition = DEFINITION,
) -> Source:
    return Source(
        definition=definition, upstream=upstream, storage=storage or MemoryStorage(), clock=clock
    )


@pytest.mark.slow
async def test_moved_branch_is_followed_when_the_cached_revision_expires(
    tmp_path: Path,
) -> None:
    repository = Repository(tmp_path / "upstream")
    first = repository.commit("1")
    definition = GitDefinition(
        name="set", location=repository.url
    )  # cached for ten minutes by default
    clock = Clock()
    git = upstream(definition, tmp_path / "state", clock=clock)
    followed = source(git, clock, definition=definition)
    assert (await followed.resolve(MAIN)).label == first
    second = repository.commit("2")

    clock.now = 599
    assert (await followed.resolve(MAIN)).label == first
    clock.now = 601
    assert (await followed.resolve(MAIN)).label == second


async def test_concurrent_callers_share_one_query() -> None:
    scripted = Scripted(REVISION)
    scripted.gate.clear()
    asked = source(scripted, Clock())
    waiting = [asyncio.create_task(asked.resolve(MAIN)) for _ in range(20)]
    await until(lambda: scripted.asked)
    await turns()

    scripted.gate.set()

    assert await asyncio.gather(*waiting) == [REVISION] * 20
    assert scripted.asked == 1


async def test_cancelled_caller_does_not_cancel_the_query_of_others() -> None:
    scripted = Scripted(REVISION)
    scripted.gate.clear()
    asked = source(scripted, Clock())
    impatient = asyncio.create_task(asked.resolve(MAIN))
    patient = asyncio.create_task(asked.resolve(MAIN))
    await until(lambda: scripted.asked)
    await turns()

    impatient.cancel()
    await turns()
    scripted.gate.set()

    assert await patient == REVISION
    assert impatient.cancelled()


async def test_unreachable_upstream_gives_the_last_known_revision_with_a_warning() -> None:
    storage, clock = MemoryStorage(), Clock()
    await source(Scripted(REVISION), clock, storage=storage).resolve(MAIN)
    restarted = source(Scripted(SourceUnavailable("no network")), clock, storage=storage)

    revision = await restarted.resolve(MAIN)

    assert replace(revision, warnings=()) == REVISION
    assert revision.warnings == (
        "main of source set cannot be resolved now; it is the last known revision aaaaaaaaaaaa",
    )


async def test_upstream_is_queried_again_soon_after_an_error() -> None:
    clock, scripted = Clock(), Scripted(REVISION)
    asked = source(scripted, clock)
    await asked.resolve(MAIN)
    clock.now += 601
    scripted.answer = SourceUnavailable("no network")
    assert (await asked.resolve(MAIN)).warnings
    scripted.answer = REVISION

    clock.now += 31

    assert not (await asked.resolve(MAIN)).warnings


async def test_upstream_that_was_never_reached_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="no network"):
        await source(Scripted(SourceUnavailable("no network")), Clock()).resolve(MAIN)


async def test_commit_is_queried_once() -> None:
    clock, scripted = Clock(), Scripted(replace(REVISION, moves=False))
    asked = source(scripted, clock)
    await asked.resolve(Tag("a" * 40))

    clock.now += 1e9
    await asked.resolve(Tag("a" * 40))

    assert scripted.asked == 1


async def test_unknown_tag_is_cached_for_a_while() -> None:
    clock, scripted = Clock(), Scripted(TagUnknown("no such tag"))
    asked = source(scripted, clock)
    for _ in range(3):
        with pytest.raises(TagUnknown):
            await asked.resolve(MAIN)
    assert scripted.asked == 1

    clock.now += 31
    scripted.answer = REVISION

    assert await asked.resolve(MAIN) == REVISION


async def test_only_allowed_tags_are_queried() -> None:
    scripted = Scripted(REVISION)
    definition = GitDefinition(
        name="set", location="https://example.org/r.git", refs=("main", "release-*")
    )
    asked = source(scripted, Clock(), definition=definition)

    with pytest.raises(TagUnknown, match=r"latest and tags like main, release-\*, not other"):
        await asked.resolve(Tag("other"))
    scripted.answer = SourceUnavailable("no network")
    with pytest.raises(TagUnknown, match=r"not one; it has latest$"):
        await asked.resolve(Tag("one"))
    scripted.answer = REVISION
    assert await asked.resolve(Tag("release-1")) == REVISION
    assert await asked.resolve(Tag("latest")) == REVISION


@pytest.mark.slow
async def test_error_for_a_tag_that_is_not_allowed_lists_the_allowed_ones(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "upstream")
    repository.commit("1")
    for name in ("v1", "v2", "w1"):
        repository.git("tag", name)
    definition = GitDefinition(name="set", location=repository.url, refs=("v*",))
    asked = source(upstream(definition, tmp_path / "state"), Clock(), definition=definition)

    with pytest.raises(TagUnknown, match=r"tags like v\*, not main; it has latest, v1, v2$") as no:
        await asked.resolve(MAIN)

    assert no.value.detail == {"tags": ["latest", "v1", "v2"]}


async def test_recorded_commit_needs_no_query_after_a_restart() -> None:
    storage, clock, commit = MemoryStorage(), Clock(), Tag("a" * 40)
    known = replace(REVISION, moves=False)
    await source(Scripted(known), clock, storage=storage).resolve(commit)
    scripted = Scripted(SourceUnavailable("no network"))

    assert await source(scripted, clock, storage=storage).resolve(commit) == known
    assert scripted.asked == 0


@pytest.mark.slow
async def test_queries_of_new_tags_do_not_delay_recorded_ones() -> None:
    storage, clock, scripted = MemoryStorage(), Clock(), Scripted(REVISION)
    await source(scripted, clock, storage=storage).resolve(MAIN)
    asked = source(scripted, clock, storage=storage)
    scripted.gate.clear()
    strangers = [asyncio.create_task(asked.resolve(Tag(f"t{n}"))) for n in range(1000)]
    async with asyncio.timeout(30):
        for ended in islice(asyncio.as_completed(strangers), 1000 - 36):
            with pytest.raises(TooManyRequests):
                await ended
    done, waiting = await asyncio.wait(strangers, timeout=0.1)

    scripted.gate.set()
    async with asyncio.timeout(10):
        known = [await asked.resolve(tag) for tag in (MAIN, Tag("latest"))]

    assert known == [REVISION] * 2
    assert len(waiting) == 36
    for task in done:
        error = task.exception()
        assert isinstance(error, TooManyRequests)
        assert 1 <= error.retry_after <= 120
    assert await asyncio.gather(*waiting) == [REVISION] * 36
    assert await asked.resolve(Tag("t999")) == REVISION


async def test_queries_of_other_tags_do_not_evict_a_moving_tag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "_LIMIT", 10)
    scripted = Scripted(REVISION)
    asked = source(scripted, Clock())
    await asked.resolve(MAIN)
    scripted.answer = replace(REVISION, moves=False)
    for number in range(20):
        await asked.resolve(Tag(f"{number:040}"))
    scripted.answer = TagUnknown("no such tag")
    for number in range(20):
        with pytest.raises(TagUnknown):
            await asked.resolve(Tag(f"junk-{number}"))
    before = scripted.asked

    assert await asked.resolve(MAIN) == REVISION
    assert scripted.asked == before
    with pytest.raises(TagUnknown):
        await asked.resolve(Tag("junk-0"))  # as many as the limit are kept
    assert scripted.asked == before + 1


async def test_tags_exclude_those_that_are_cached_as_unknown() -> None:
    clock = Clock()
    scripted = Scripted(TagUnknown("unknown branch"))
    asked = source(scripted, clock)
    assert list(asked.tags()) == ["latest", "v1", "v2"]

    with pytest.raises(TagUnknown):
        await asked.resolve(Tag("v2"))

    assert list(asked.tags()) == ["latest", "v1"]
    clock.now = 31
    assert list(asked.tags()) == ["latest", "v1", "v2"]
    assert scripted.asked == 1


class ManyTags(tuple[str, ...]):
    """Tags that count how many of them are read."""

    __slots__ = ()
    read = 0

    def __getitem__(self, place: object) -> str:  # type: ignore[override]  # no slices
        type(self).read += 1
        return super().__getitem__(place)  # type: ignore[call-overload,no-any-return]  # as above


async def test_page_of_many_tags_reads_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = Scripted(REVISION)
    tags = ManyTags(f"t{number:06}" for number in range(100_000))
    monkeypatch.setattr(scripted, "cached_tags", lambda: tags)

    page = tuple(islice(source(scripted, Clock()).tags("t070000"), 3))

    assert page == ("t070001", "t070002", "t070003")
    assert ManyTags.read < 50


async def test_cached_revision_is_there_until_it_expires() -> None:
    clock = Clock()
    scripted = Scripted(REVISION)
    asked = source(scripted, clock)
    assert await asked.cached_revision(MAIN) is None

    await asked.resolve(MAIN)

    assert await asked.cached_revision(MAIN) == REVISION
    clock.now = 601
    assert await asked.cached_revision(MAIN) is None
    assert scripted.asked == 1


async def test_cached_revision_of_a_directory_is_its_current_one(tmp_path: Path) -> None:
    definition = PathDefinition(name="set", location=tmp_path / "set")
    clock = Clock()
    directory = PathUpstream(definition=definition, workers=Workers(1))
    asked = source(directory, clock, definition=definition)
    definition.location.mkdir()
    latest = Tag("latest")
    assert await asked.cached_revision(latest) is None
    before = await asked.resolve(latest)

    (definition.location / "new").touch()
    clock.now = 6
    after = await asked.cached_revision(latest)

    assert after is not None
    assert after != before
    assert list(asked.tags()) == ["latest"]


async def test_directory_has_one_tag(tmp_path: Path) -> None:
    definition = PathDefinition(name="set", location=tmp_path)
    directory = PathUpstream(definition=definition, workers=Workers(1))

    assert (await directory.find("latest")).identity.startswith("tree:")
    with pytest.raises(TagUnknown, match="one tag, latest, not main"):
        await directory.find("main")


async def test_change_of_a_directory_in_use_is_an_error(
    tmp_path: Path,
) -> None:
    definition = PathDefinition(name="set", location=tmp_path)
    directory = PathUpstream(definition=definition, workers=Workers(1))
    revision = await directory.find("latest")

    with pytest.raises(SourceMoved):
        async with directory.checkout(revision):
            (tmp_path / "new").touch()
    with pytest.raises(SourceMoved):
        async with directory.checkout(revision):
            pass


async def test_further_files_of_a_directory_are_part_of_its_revision(
    tmp_path: Path,
) -> None:
    (tmp_path / "set").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("1")
    definition = PathDefinition(name="set", location=tmp_path / "set", reads=(outside,))
    directory = PathUpstream(definition=definition, workers=Workers(1))
    before = await directory.find("latest")

    outside.write_text("2")

    assert (await directory.find("latest")).identity != before.identity


async def test_missing_directory_is_unavailable(tmp_path: Path) -> None:
    definition = PathDefinition(name="set", location=tmp_path / "nowhere")

    with pytest.raises(SourceUnavailable, match="source set cannot be read: No such file"):
        await PathUpstream(definition=definition, workers=Workers(1)).find("latest")
