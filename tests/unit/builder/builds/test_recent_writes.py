"""When the images that were built last are written, by a clock of the tests."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.builder.builds.recent import LIMIT, RecentImages
from app.builder.images.image import BuiltImage
from app.builder.jobs.phases import Phase
from app.oci import Descriptor, Digest, MediaType
from app.reference import ImageReference
from app.storage.memory import MemoryStorage
from app.storage.records.records import Records
from tests.virtualtime import virtual_backend

IMAGE = BuiltImage(Descriptor(MediaType.OCI_MANIFEST, Digest.of(b"image"), 1), None)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the methods that convert the whole record."""
    seen: list[str] = []

    def counted(name: str) -> Callable[..., object]:
        original: Callable[..., object] = getattr(Records, name)

        def call(*arguments: object) -> object:
            seen.append(name)
            return original(*arguments)

        return call

    for name in ("encode", "decode"):
        monkeypatch.setattr(Records, name, counted(name))
    return seen


def add(recent: RecentImages, name: str) -> None:
    recent.add(ImageReference.parse(name, "latest"), IMAGE, {Phase.PACK: 1.0})


async def stored(storage: MemoryStorage) -> list[str]:
    images = await RecentImages(storage=storage, sources=()).latest(LIMIT)
    return sorted(one.name for one in images)


async def test_images_of_a_few_seconds_are_written_together(calls: list[str]) -> None:
    storage = MemoryStorage()
    recent = RecentImages(storage=storage, sources=())
    for name in ("git", "jq", "htop"):
        add(recent, name)
        await asyncio.sleep(1)
    assert calls == []

    await asyncio.sleep(5)

    assert calls == ["encode"]
    assert await stored(storage) == ["git", "htop", "jq"]


async def test_a_server_does_not_decode_what_it_wrote_itself(calls: list[str]) -> None:
    storage = MemoryStorage()
    recent = RecentImages(storage=storage, sources=())
    for number in range(LIMIT + 2):
        add(recent, f"p{number}")
        if number >= LIMIT:
            await asyncio.sleep(20)

    assert calls == ["encode", "encode"]
    assert len(await stored(storage)) == LIMIT


async def test_what_another_server_wrote_is_kept() -> None:
    storage = MemoryStorage()
    one = RecentImages(storage=storage, sources=())
    other = RecentImages(storage=storage, sources=())
    for server, name in ((one, "git"), (other, "jq"), (one, "htop")):
        add(server, name)
        await asyncio.sleep(20)

    assert await stored(storage) == ["git", "htop", "jq"]


async def test_the_rest_is_written_at_the_end() -> None:
    storage = MemoryStorage()
    recent = RecentImages(storage=storage, sources=())
    add(recent, "git")

    await recent.close()

    assert await stored(storage) == ["git"]
