"""Patience and memory, over a git repository and, for failures, over a scripted upstream."""

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

MAIN = Tag("main")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """Answers what it is told to, and counts how often it is asked."""

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


async def test_a_moved_branch_is_followed_after_the_time_to_live_and_not_before(
    tmp_path: Path,
) -> None:
    repository = Repository(tmp_path / "upstream")
    first = repository.commit("1")
    definition = GitDefinition(name="set", location=repository.url)  # ten minutes, unless said
    clock = Clock()
    git = upstream(definition, tmp_path / "state", clock=clock)
    followed = source(git, clock, definition=definition)
    assert (await followed.resolve(MAIN)).label == first
    second = repository.commit("2")

    clock.now = 599
    assert (await followed.resolve(MAIN)).label == first
    clock.now = 601
    assert (await followed.resolve(MAIN)).label == second


async def test_all_who_wait_share_one_question() -> None:
    scripted = Scripted(REVISION)
    scripted.gate.clear()
    asked = source(scripted, Clock())
    waiting = [asyncio.create_task(asked.resolve(MAIN)) for _ in range(20)]
    await asyncio.sleep(0.01)

    scripted.gate.set()

    assert await asyncio.gather(*waiting) == [REVISION] * 20
    assert scripted.asked == 1


async def test_whoever_gives_up_does_not_spoil_it_for_the_others() -> None:
    scripted = Scripted(REVISION)
    scripted.gate.clear()
    asked = source(scripted, Clock())
    impatient = asyncio.create_task(asked.resolve(MAIN))
    patient = asyncio.create_task(asked.resolve(MAIN))
    await asyncio.sleep(0.01)

    impatient.cancel()
    await asyncio.sleep(0)
    scripted.gate.set()

    assert await patient == REVISION
    assert impatient.cancelled()


async def test_an_unreachable_upstream_leaves_the_last_known_revision_with_a_warning() -> None:
    storage, clock = MemoryStorage(), Clock()
    await source(Scripted(REVISION), clock, storage=storage).resolve(MAIN)
    restarted = source(Scripted(SourceUnavailable("no network")), clock, storage=storage)

    revision = await restarted.resolve(MAIN)

    assert replace(revision, warnings=()) == REVISION
    assert revision.warnings == (
        "source set cannot be reached; main is its last known revision aaaaaaaaaaaa",
    )


async def test_an_upstream_that_comes_back_is_asked_again_soon() -> None:
    clock, scripted = Clock(), Scripted(REVISION)
    asked = source(scripted, clock)
    await asked.resolve(MAIN)
    clock.now += 601
    scripted.answer = SourceUnavailable("no network")
    assert (await asked.resolve(MAIN)).warnings
    scripted.answer = REVISION

    clock.now += 31

    assert not (await asked.resolve(MAIN)).warnings


async def test_an_unreachable_upstream_that_was_never_reached_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="no network"):
        await source(Scripted(SourceUnavailable("no network")), Clock()).resolve(MAIN)


async def test_a_commit_is_asked_for_once_and_for_all() -> None:
    clock, scripted = Clock(), Scripted(replace(REVISION, moves=False))
    asked = source(scripted, clock)
    await asked.resolve(Tag("a" * 40))

    clock.now += 1e9
    await asked.resolve(Tag("a" * 40))

    assert scripted.asked == 1


async def test_a_tag_that_names_nothing_is_remembered_for_a_while() -> None:
    clock, scripted = Clock(), Scripted(TagUnknown("no such tag"))
    asked = source(scripted, clock)
    for _ in range(3):
        with pytest.raises(TagUnknown):
            await asked.resolve(MAIN)
    assert scripted.asked == 1

    clock.now += 31
    scripted.answer = REVISION

    assert await asked.resolve(MAIN) == REVISION


async def test_only_tags_the_operator_allows_are_asked_for() -> None:
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


async def test_a_tag_that_is_not_allowed_is_told_what_is(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "upstream")
    repository.commit("1")
    for name in ("v1", "v2", "w1"):
        repository.git("tag", name)
    definition = GitDefinition(name="set", location=repository.url, refs=("v*",))
    asked = source(upstream(definition, tmp_path / "state"), Clock(), definition=definition)

    with pytest.raises(TagUnknown, match=r"tags like v\*, not main; it has latest, v1, v2$") as no:
        await asked.resolve(MAIN)

    assert no.value.detail == {"tags": ["latest", "v1", "v2"]}


async def test_a_commit_found_once_needs_nobody_after_a_restart() -> None:
    storage, clock, commit = MemoryStorage(), Clock(), Tag("a" * 40)
    known = replace(REVISION, moves=False)
    await source(Scripted(known), clock, storage=storage).resolve(commit)
    scripted = Scripted(SourceUnavailable("no network"))

    assert await source(scripted, clock, storage=storage).resolve(commit) == known
    assert scripted.asked == 0


async def test_any_number_of_new_tags_are_turned_away_and_known_ones_are_not() -> None:
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


async def test_strangers_cannot_make_a_moving_tag_be_asked_for_early(
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


async def test_tags_are_those_seen_but_for_what_was_lately_found_to_be_none() -> None:
    clock = Clock()
    scripted = Scripted(TagUnknown("there is no such branch"))
    asked = source(scripted, clock)
    assert asked.tags() == {"latest", "v1", "v2"}

    with pytest.raises(TagUnknown):
        await asked.resolve(Tag("v2"))

    assert asked.tags() == {"latest", "v1"}
    clock.now = 31
    assert asked.tags() == {"latest", "v1", "v2"}
    assert scripted.asked == 1


async def test_what_a_tag_stands_for_is_at_hand_while_it_is_taken_to_stand_still() -> None:
    clock = Clock()
    scripted = Scripted(REVISION)
    asked = source(scripted, clock)
    assert await asked.cached_revision(MAIN) is None

    await asked.resolve(MAIN)

    assert await asked.cached_revision(MAIN) == REVISION
    clock.now = 601
    assert await asked.cached_revision(MAIN) is None
    assert scripted.asked == 1


async def test_files_of_this_machine_are_at_hand_once_they_were_read(tmp_path: Path) -> None:
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
    assert asked.tags() == {"latest"}


async def test_a_directory_has_one_tag(tmp_path: Path) -> None:
    definition = PathDefinition(name="set", location=tmp_path)
    directory = PathUpstream(definition=definition, workers=Workers(1))

    assert (await directory.find("latest")).identity.startswith("tree:")
    with pytest.raises(TagUnknown, match="one tag, latest, not main"):
        await directory.find("main")


async def test_a_directory_changed_while_it_is_used_belongs_to_no_revision(
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


async def test_files_outside_that_a_directory_reads_are_part_of_its_revision(
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


async def test_a_directory_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    definition = PathDefinition(name="set", location=tmp_path / "nowhere")

    with pytest.raises(SourceUnavailable, match="source set cannot be read: No such file"):
        await PathUpstream(definition=definition, workers=Workers(1)).find("latest")
