"""Paths are packed as soon as their narinfo is verified, while other narinfos are on their way."""

import asyncio
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from scripts.channel.server import Channel
from tests.contract.store_contract import A, B
from tests.unit.builder.nix.substitution.world import World, fill, opened


class NotingStorage(MemoryStorage):
    """``adopted`` is set when a blob is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted = asyncio.Event()

    async def adopt(self, key: str, file: BinaryIO) -> None:
        await super().adopt(key, file)
        self.adopted.set()


class Held:
    """The narinfo of B is sent when ``release`` is set."""

    def __init__(self, directory: Path) -> None:
        self.release = threading.Event()
        self.asked = threading.Event()
        self.first = Channel(fill(directory / "first", {A: {b"a": b"1"}}, {A: [B]}, priority=1))
        self.second = Channel(fill(directory / "second", {B: {b"b": b"2"}}, priority=2))
        self.second.fail("narinfo", self.wait)

    def wait(self, body: bytes) -> bytes:
        self.asked.set()
        self.release.wait(60)
        return body


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def packer(world: World, storage: MemoryStorage) -> LayerPacker:
    return LayerPacker(
        storage=storage,
        existence=BlobExistenceCache(storage),
        workers=Workers(2),
        codecs=codec.find_all("gzip"),
        store=world.store,
    )


async def test_a_path_is_packed_before_its_closure_is_known(tmp_path: Path, held: Held) -> None:
    storage = NotingStorage()
    with opened(World(tmp_path, [held.first, held.second])) as world:
        packing = packer(world, storage)
        async with asyncio.timeout(60), packing.early():
            finding = asyncio.create_task(world.find(A))
            await storage.adopted.wait()
            assert not finding.done()
            held.release.set()
            found = await finding
            for path in (A, B):
                await packing.layer([path])
        await packing.close()

        assert set(found.offers) == {A, B}
        # Each is downloaded once, although it was wanted twice.
        assert sum("/nar/" in path for path in held.first.requests) == 1
        assert sum("/nar/" in path for path in held.second.requests) == 1
        assert packing.counters.paths_packed == 2
