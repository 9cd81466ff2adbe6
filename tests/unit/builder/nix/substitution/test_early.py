"""Paths are packed as soon as their narinfo is verified, while other narinfos are on their way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from app.builder.images.packing import codec
from app.builder.images.packing.early import packing_early
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.closure import StorePath
from app.errors import DownloadFailed
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from scripts.channel.server import Channel
from tests.contract.store_contract import A, B
from tests.unit.builder.nix.substitution.test_faults import field, flipped
from tests.unit.builder.nix.substitution.world import World, fill, opened

pytestmark = pytest.mark.slow


class NotingStorage(MemoryStorage):
    """A storage that sets ``adopted`` when a blob is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted = asyncio.Event()

    async def adopt(self, key: str, file: BinaryIO) -> None:
        await super().adopt(key, file)
        self.adopted.set()


class Early:
    """Two caches, each with a part of one image.

    ``first`` has A, which refers to B, and ``second`` has B; ``wanted`` are their layers.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.first = Channel(fill(directory / "first", {A: {b"a": b"1"}}, {A: [B]}, priority=1))
        self.second = Channel(fill(directory / "second", {B: {b"b": b"2"}}, priority=2))
        self.storage = NotingStorage()

    @asynccontextmanager
    async def packing(
        self, *, required: bool = True, seconds: float = 60
    ) -> AsyncIterator[tuple[World, LayerPacker]]:
        """At the end nothing of the downloads is open, and both paths can be packed."""
        world = World(
            self.directory,
            [self.first, self.second],
            required=required,
            seconds=seconds,
            stall_seconds=1 if seconds == 1 else 5,
        )
        with opened(world):
            packer = self.packer(world)
            yield world, packer
            await packer.close()
            assert world.left_over == []
            self.first.heal()
            self.second.heal()
            packer = self.packer(world)
            async with packer.early():
                await world.find(A)
                await packer.layer([A, B])
            await packer.close()
            assert world.left_over == []

    def packer(self, world: World) -> LayerPacker:
        return LayerPacker(
            storage=self.storage,
            existence=BlobExistenceCache(self.storage),
            workers=Workers(2),
            codecs=codec.find_all("gzip"),
            store=world.store,
        )

    async def assert_nothing_stored(self) -> None:
        assert await self.storage.keys("") == []


@pytest.fixture
def early(tmp_path: Path) -> Early:
    return Early(tmp_path)


async def test_a_path_is_packed_before_its_closure_is_known(early: Early) -> None:
    early.second.fail("narinfo", "hold")
    async with early.packing() as (world, packer):
        async with asyncio.timeout(300), packer.early():
            finding = asyncio.create_task(world.find(A))
            await early.storage.adopted.wait()
            assert not finding.done()
            early.second.release()
            found = await finding
            for path in (A, B):
                await packer.layer([path])

        assert set(found.offers) == {A, B}
        # Each is downloaded once, although it was wanted twice.
        assert sum("/nar/" in path for path in early.first.requests) == 1
        assert sum("/nar/" in path for path in early.second.requests) == 1
        assert packer.counters.paths_packed == 2


@pytest.mark.parametrize("kind", [404, flipped, "cut"])
async def test_a_failed_download_ends_the_search(early: Early, kind: int | str) -> None:
    early.first.ranges = False
    early.first.fail("/nar/", kind)
    early.second.fail(B.hash_part, "hold")
    async with early.packing() as (world, packer):
        with pytest.raises(DownloadFailed, match=f"{early.first.url} failed to send {A}"):
            async with asyncio.timeout(300), packer.early():
                await world.find(A)
        await early.assert_nothing_stored()


async def test_an_archive_with_another_hash_is_not_stored(early: Early) -> None:
    """Noticed when the whole path has been packed, and only its record is missing."""
    early.first.fail("narinfo", field("NarHash", "sha256:" + "0" * 52))
    early.second.fail(B.hash_part, "hold")
    async with early.packing(required=False) as (world, packer):
        with pytest.raises(DownloadFailed, match="does not have its NarHash"):
            async with asyncio.timeout(300), packer.early():
                await world.find(A)
        await early.assert_nothing_stored()


async def test_a_silent_cache_ends_the_search(early: Early) -> None:
    early.first.fail("/nar/", "silence")
    early.second.fail(B.hash_part, "hold")
    async with early.packing(seconds=1) as (world, packer):
        with pytest.raises(DownloadFailed, match=r"takes longer|sends nothing"):
            async with asyncio.timeout(300), packer.early():
                await world.find(A)
        await early.assert_nothing_stored()
        world.seconds = 60


@pytest.mark.parametrize(
    ("reason", "stage"),
    [
        ("error", "narinfo"),
        ("cancellation", "narinfo"),
        ("cancellation", "/nar/"),
        ("time-out", "/nar/"),
    ],
)
async def test_a_failed_caller_ends_packing(early: Early, reason: str, stage: str) -> None:
    """The caller fails when ``stage``, which the cache does not send, has been requested."""
    loop, requested = asyncio.get_running_loop(), asyncio.Event()

    def note(path: str) -> None:
        if "/nar/" in path:
            loop.call_soon_threadsafe(requested.set)

    early.first.on_request = note
    early.first.fail("/nar/", "silence")
    if stage == "narinfo":
        early.second.fail(B.hash_part, "hold")
    async with early.packing() as (world, packer):
        limit = asyncio.timeout(300)

        async def pull() -> None:
            async with limit, packer.early():
                finding = asyncio.create_task(world.find(A))
                try:
                    await requested.wait()
                    if reason == "error":
                        raise LookupError
                    if reason == "time-out":
                        limit.reschedule(loop.time())
                    await finding
                    await packer.layer([A])
                finally:
                    finding.cancel()

        pulling = asyncio.create_task(pull())
        await requested.wait()
        if reason == "cancellation":
            pulling.cancel()
        [outcome] = await asyncio.gather(pulling, return_exceptions=True)

        expected = {
            "error": LookupError,
            "cancellation": asyncio.CancelledError,
            "time-out": TimeoutError,
        }
        assert type(outcome) is expected[reason]
        await early.assert_nothing_stored()


async def test_a_path_that_is_found_after_a_failure_is_not_packed(early: Early) -> None:
    packed: list[StorePath] = []
    failed = asyncio.Event()

    async def pack(path: StorePath) -> None:
        packed.append(path)
        failed.set()
        raise LookupError

    async def find(world: World) -> None:
        async with packing_early(world.store, pack):
            try:
                await world.find(A)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await world.find(B)
                raise

    early.second.fail(B.hash_part, "hold")
    async with early.packing() as (world, _):
        finding = asyncio.create_task(find(world))
        await failed.wait()
        early.second.release()
        with pytest.raises(LookupError):
            await finding

    assert packed == [A]


async def test_a_download_is_closed_also_if_its_end_is_cancelled(early: Early) -> None:
    requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    early.first.fail("/nar/", "silence")

    def note(path: str) -> None:
        if "/nar/" in path:
            loop.call_soon_threadsafe(requested.set)

    early.first.on_request = note

    async def fetch(world: World) -> None:
        async with world.store.fetching(A):
            pass

    async with early.packing() as (world, _):
        await world.find(A)
        fetching = asyncio.create_task(fetch(world))
        await requested.wait()
        for _ in range(3):
            fetching.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await fetching
        assert world.left_over == []
