"""Store paths out of a binary cache, packed while they are downloaded."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.builder.images.contents.reading import read_file_tree
from app.builder.images.packing import codec
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.closure import StoreObject, StorePath
from app.builder.nix.store import Store, UnsupportedTree
from app.errors import DownloadFailed
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from scripts.channel.server import Channel
from tests.archives import TreeReader
from tests.contract.store_contract import (
    DIFF_ID,
    MIXED,
    A,
    B,
    Contents,
    MakeStore,
    StoreContract,
)
from tests.unit.builder.images.packing.trees import plant_path, store_path
from tests.unit.builder.nix.substitution.world import World, fill, opened
from tests.waiting import turns

COMPRESSIONS = ("zstd", "xz", "bzip2", "br", "none")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class TestSubstitutedStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path, stack: ExitStack) -> MakeStore:
        def make(contents: Contents, objects: tuple[StoreObject, ...]) -> Store:
            references = {item.path: item.references for item in objects}
            channel = Channel(fill(tmp_path / "cache", contents, references))
            world = World(tmp_path, [channel], objects=objects)
            world.open(stack)
            # The tests of the contract make stores in and outside of event loops.
            with ThreadPoolExecutor(1) as thread:
                found = thread.submit(lambda: asyncio.run(world.find(*contents))).result()
            assert set(found.offers) == set(contents)
            return world.store

        return make


def packer(world: World) -> LayerPacker:
    storage = MemoryStorage()
    return LayerPacker(
        storage=storage,
        existence=BlobExistenceCache(storage),
        workers=Workers(2),
        codecs=codec.find_all("gzip"),
        store=world.store,
    )


@pytest.mark.slow
@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_each_compression_gives_the_same_layer(tmp_path: Path, compression: str) -> None:
    directory = fill(tmp_path / "cache", {A: MIXED}, compression=compression)
    with opened(World(tmp_path, [Channel(directory)])) as world:
        await world.find(A)
        packing = packer(world)

        layer = await packing.layer([A])
        await packing.close()

        assert layer.diff_id.hex == DIFF_ID
        assert world.left_over == []


async def test_the_names_of_a_packed_path_need_no_second_download(tmp_path: Path) -> None:
    contents: Contents = {
        A: {b"share": (f"{B}/x".encode(),)},
        B: {b"x": {b"f": b"1", b"l": (b"f",)}},
    }
    channel = Channel(fill(tmp_path / "cache", contents, {A: [B]}))
    with opened(World(tmp_path, [channel])) as world:
        await world.find(A)
        packing = packer(world)
        await packing.layer([A, B])
        await packing.close()
        downloads = [path for path in channel.requests if "/nar/" in path]

        tree = await asyncio.to_thread(read_file_tree, A, world.store, [A, B])

        assert set(tree.linked[f"{B.base}/x".encode()].children) == {b"f", b"l"}
        assert [path for path in channel.requests if "/nar/" in path] == downloads
        assert len(downloads) == 2


async def test_a_file_of_a_remote_path_can_be_read_without_packing(tmp_path: Path) -> None:
    with opened(World(tmp_path, [Channel(fill(tmp_path / "cache", {A: MIXED}))])) as world:
        await world.find(A)
        reader = TreeReader()

        await asyncio.to_thread(world.store.visit, A, reader)

        assert reader.root == MIXED


async def test_a_path_that_is_not_remote_is_read_from_this_machine(tmp_path: Path) -> None:
    with opened(World(tmp_path, [Channel(fill(tmp_path / "cache", {A: MIXED}))])) as world:
        plant_path(tmp_path / "local", B, {b"own": b"1"})
        await world.find(A)
        reader = TreeReader()

        await asyncio.to_thread(world.store.visit, B, reader)

        assert reader.root == {b"own": b"1"}


async def test_a_tree_that_fits_in_no_image_is_the_packages_fault_only_if_its_hash_is_right(
    tmp_path: Path,
) -> None:
    contents: Contents = {A: {b".wh.a": b"", b"z": b"1" * 1000}}
    channel = Channel(fill(tmp_path / "cache", contents, compression="none"))
    with opened(World(tmp_path, [channel])) as world:
        await world.find(A)
        with pytest.raises(Exception, match="fits in no image"):
            await packer(world).layer([A])

        for file in channel.directory.glob("*.narinfo"):
            text = file.read_text().splitlines(keepends=True)
            file.write_text("".join(line for line in text if not line.startswith("File")))
        world.job.remotes.clear()
        await world.find(A)
        channel.fail("/nar/", lambda body: body[:-50] + b"x" + body[-49:])

        with pytest.raises(DownloadFailed, match=f"{channel.url} failed to send {A}: .*"):
            await packer(world).layer([A])
    assert UnsupportedTree is not None


@pytest.mark.slow
async def test_a_small_download_does_not_wait_until_large_ones_are_packed(tmp_path: Path) -> None:
    large = [store_path(number, "large") for number in range(20, 30)]
    small = store_path(30, "small")
    contents = {**dict.fromkeys(large, bytes(8 << 20)), small: b"content"}
    channel = Channel(fill(tmp_path / "cache", contents, compression="none"))
    packed = asyncio.Event()

    with opened(World(tmp_path, [channel])) as world:
        await world.find(*contents)

        async def pack_slowly(path: StorePath) -> None:
            async with world.store.fetching(path):
                await packed.wait()

        packing = [asyncio.create_task(pack_slowly(path)) for path in large]
        await turns()
        try:
            async with asyncio.timeout(300), world.store.fetching(small):
                pass
        finally:
            packed.set()
            await asyncio.gather(*packing)
