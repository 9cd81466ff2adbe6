"""Images that were built last, across restarts, damage and several servers."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from app.builder.builds.recent import LIMIT, RECENT, RecentImages
from app.builder.images.image import BuiltImage, BuiltIndex, Child
from app.builder.jobs.phases import Phase
from app.errors import StorageUnavailable
from app.oci import Descriptor, Digest, MediaType
from app.reference import ImageReference
from app.storage.base import Storage
from app.storage.memory import MemoryStorage
from app.storage.records.records import Records

TIMES = {Phase.EVALUATE: 1.0, Phase.PACK: 2.5}
FOUND = {Phase.EVALUATE: 0.1}


def recent_of(storage: Storage) -> RecentImages:
    return RecentImages(storage=storage, sources={"team"})


def image(text: str) -> BuiltImage:
    return BuiltImage(Descriptor(MediaType.OCI_MANIFEST, Digest.of(text.encode()), 1), None)


def reference(name: str, tag: str = "latest") -> ImageReference:
    return ImageReference.parse(name, tag)


async def names(recent: RecentImages, count: int = LIMIT) -> list[str]:
    return [f"{one.name}:{one.tag}" for one in await recent.latest(count)]


async def test_they_are_known_after_a_restart_the_latest_first() -> None:
    storage = MemoryStorage()
    before = recent_of(storage)
    for name in ("git", "jq/shell", "git"):
        before.add(reference(name), image(name), TIMES)
    await before.close()

    after = recent_of(storage)

    assert await names(after) == ["git:latest", "shell/jq:latest"]
    assert await names(after, 1) == ["git:latest"]
    found = await after.find(reference("shell/jq"))
    assert found is not None
    assert found.digest == Digest.of(b"jq/shell")
    assert found.seconds == TIMES
    assert await after.find(reference("git", "v1")) is None


async def test_an_index_has_the_manifests_of_its_images() -> None:
    recent = recent_of(MemoryStorage())
    children = (Child("amd64", image("a")), Child("arm64", image("b")))
    index = Descriptor(MediaType.OCI_INDEX, Digest.of(b"index"), 1)

    recent.add(reference("git"), BuiltIndex(index, None, children), TIMES)

    found = await recent.find(reference("git"))
    assert found is not None
    assert (found.digest, found.media_type) == (index.digest, MediaType.OCI_INDEX)
    assert found.manifests == (Digest.of(b"a"), Digest.of(b"b"))


async def test_there_is_a_limit() -> None:
    storage = MemoryStorage()
    recent = recent_of(storage)
    for number in range(LIMIT + 20):
        recent.add(reference(f"p{number}"), image("x"), TIMES)
    await recent.close()

    assert len(await names(recent_of(storage))) == LIMIT
    assert (await names(recent_of(storage), 1)) == [f"p{LIMIT + 19}:latest"]
    assert len(await storage.keys("recent/")) == 1


class ReadTogether(MemoryStorage):
    """Two servers read the record before either writes it, and write before either reads again."""

    def __init__(self) -> None:
        super().__init__()
        self._readers = 0
        self._both = asyncio.Event()

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        found = await super().read_each(keys)
        self._readers += 1
        if self._readers == 2:
            self._both.set()
        await self._both.wait()
        return found

    async def write(self, key: str, body: bytes) -> None:
        await super().write(key, body)
        await asyncio.sleep(0)


async def test_servers_that_write_at_the_same_moment_keep_the_images_of_both() -> None:
    storage = ReadTogether()
    one, other = recent_of(storage), recent_of(storage)
    one.add(reference("git"), image("git"), TIMES)
    other.add(reference("jq"), image("jq"), TIMES)

    await asyncio.gather(one.close(), other.close())

    assert sorted(await names(recent_of(storage))) == ["git:latest", "jq:latest"]


async def test_images_that_were_built_before_the_clock_was_set_back_are_dropped_first() -> None:
    storage = MemoryStorage()
    before = recent_of(storage)
    for number in range(LIMIT):
        before.add(reference(f"p{number}"), image("x"), TIMES)
    ahead = tuple(
        replace(one, built_at=one.built_at + timedelta(days=365))
        for one in reversed(await before.latest(LIMIT))
    )
    await before.close()
    await Records(storage=storage, kind=RECENT).write(RECENT.key(), ahead)

    after = recent_of(storage)
    after.add(reference("new"), image("new"), TIMES)
    await after.close()

    assert await names(recent_of(storage), 2) == ["new:latest", f"p{LIMIT - 1}:latest"]


async def test_an_image_that_is_only_found_keeps_the_times_of_its_build() -> None:
    storage = MemoryStorage()
    first = recent_of(storage)
    first.add(reference("git"), image("1"), TIMES)
    await first.close()
    second = recent_of(storage)

    second.add(reference("git"), image("1"), FOUND)
    await second.close()

    found = await recent_of(storage).find(reference("git"))
    assert found is not None
    assert found.seconds == TIMES


async def test_servers_that_share_a_storage_keep_the_entries_of_both() -> None:
    storage = MemoryStorage()
    one, other = recent_of(storage), recent_of(storage)
    assert await names(one) == await names(other) == []
    one.add(reference("git"), image("1"), TIMES)
    await one.close()
    other.add(reference("jq"), image("2"), TIMES)
    await other.close()

    assert set(await names(recent_of(storage))) == {"git:latest", "jq:latest"}


async def test_a_damaged_record_is_empty_and_is_written_again(log: list[str]) -> None:
    storage = MemoryStorage()
    first = recent_of(storage)
    first.add(reference("git"), image("1"), TIMES)
    await first.close()
    (key,) = await storage.keys("recent/")
    await storage.write(key, b"damaged")

    second = recent_of(storage)
    assert await names(second) == []
    second.add(reference("jq"), image("2"), TIMES)
    await second.close()

    assert await names(recent_of(storage)) == ["jq:latest"]
    assert any("damaged" in line for line in log)


@pytest.mark.parametrize(
    "hostile",
    [
        ("git", "<script>"),
        ("<script>", "latest"),
        ("../../etc", "latest"),
        ("git", "latest", "no digest"),
    ],
)
def test_a_record_of_other_programs_is_not_believed(hostile: tuple[str, ...]) -> None:
    name, tag, *digest = hostile
    row = {
        "name": name,
        "tag": tag,
        "digest": (digest or [str(Digest.of(b"x"))])[0],
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "manifests": [str(Digest.of(b"x"))],
        "built_at": "2026-01-01T00:00:00Z",
        "seconds": {"pack": 1},
    }

    with pytest.raises(ValueError, match="1 validation error"):
        RECENT.adapter.validate_python([row])


async def test_storage_that_fails_costs_only_the_entry_after_a_restart(
    monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    async def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(Records, "write_body", fail)
    recent = recent_of(MemoryStorage())
    recent.add(reference("git"), image("1"), TIMES)
    await recent.close()

    assert await names(recent) == ["git:latest"]
    assert any("after a restart: the disk is full" in line for line in log)


async def test_unreadable_storage_does_not_keep_a_server_from_starting(
    monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    async def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is broken")

    monkeypatch.setattr(Records, "read", fail)

    await recent_of(MemoryStorage()).load()

    assert any("cannot be read: the disk is broken" in line for line in log)


async def test_samples_are_those_of_the_same_image_or_of_all() -> None:
    recent = recent_of(MemoryStorage())
    recent.add(reference("git"), image("1"), TIMES)
    recent.add(reference("jq"), image("2"), {Phase.PACK: 7.0})
    recent.add(reference("htop"), image("3"), FOUND)

    assert recent.samples("git:latest") == (TIMES,)
    assert recent.samples("new:latest") == (TIMES, {Phase.PACK: 7.0})
