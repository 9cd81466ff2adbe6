"""Layers in gzip and zstd at once: from one read, with the bytes that each codec makes alone."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.builder.images.image import Layer
from app.builder.images.packing import codec
from app.builder.images.packing.changes import BytesChanged
from app.builder.images.packing.entry import File
from app.builder.images.packing.packer import LayerPacker
from app.builder.nix.closure import StorePath
from app.builder.nix.programs.local_store import LocalStore
from app.builder.nix.store import Visitor
from app.errors import Unpackable
from app.oci import MediaType
from app.storage import keys
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import (
    ODDITIES,
    closure_query,
    plant_path,
    store_path,
)

GZIP, ZSTD = codec.find_all("both")
NOISE = os.urandom(1000) * 9_000
# A tar has a header of 512 bytes for the directory and one for the file.
SIZES = [
    0,
    GZIP.block_size - 1024,
    GZIP.block_size - 512,
    GZIP.block_size,
    ZSTD.block_size - 1024,
    ZSTD.block_size + GZIP.block_size,
    2 * ZSTD.block_size + 77,
]


class CountingStore(LocalStore):
    """Notes which paths are read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, query=closure_query())
        self.read: list[StorePath] = []

    def visit(self, path: StorePath, visitor: Visitor) -> None:
        self.read.append(path)
        super().visit(path, visitor)


NewPacker = Callable[..., tuple[LayerPacker, CountingStore]]


@pytest.fixture
async def new_packer(tmp_path: Path) -> AsyncIterator[NewPacker]:
    made: list[LayerPacker] = []

    def make(
        codecs: str, storage: MemoryStorage | None = None, workers: int = 2
    ) -> tuple[LayerPacker, CountingStore]:
        kept = storage or MemoryStorage()
        store = CountingStore(tmp_path)
        packer = LayerPacker(
            storage=kept,
            existence=BlobExistenceCache(kept),
            workers=Workers(workers),
            codecs=codec.find_all(codecs),
            store=store,
        )
        made.append(packer)
        return packer, store

    yield make
    for packer in made:
        await packer.close()


def plant_all(directory: Path) -> list[StorePath]:
    paths = [
        plant_path(directory, store_path(number, f"p{number}"), {b"file": NOISE[:size]})
        for number, size in enumerate(SIZES)
    ]
    return [*paths, plant_path(directory, store_path(90, "odd"), ODDITIES)]


async def layers_of(packer: LayerPacker, paths: list[StorePath]) -> list[Layer]:
    single = await asyncio.gather(*(packer.layer([path]) for path in paths))
    return [
        *single,
        await packer.layer(paths),
        await packer.contents_layer([File(b"etc/passwd", b"root\n")]),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 16])
async def test_each_layer_has_the_blobs_of_both_codecs_from_one_read(
    tmp_path: Path, new_packer: NewPacker, workers: int
) -> None:
    paths = plant_all(tmp_path)
    both, store = new_packer("both", workers=workers)

    found = await layers_of(both, paths)

    gzip, zstd = [await layers_of(new_packer(name)[0], paths) for name in ("gzip", "zstd")]
    assert [layer.descriptor for layer in found] == [layer.descriptor for layer in gzip]
    assert [layer.zstd for layer in found] == [layer.descriptor for layer in zstd]
    assert [layer.diff_id for layer in found] == [layer.diff_id for layer in zstd]
    assert sorted(store.read) == sorted(paths)
    assert both.counters.paths_packed == len(paths)
    assert {layer.zstd.media_type for layer in found if layer.zstd} == {MediaType.OCI_LAYER_ZSTD}


@pytest.mark.slow
async def test_layers_in_one_codec_are_completed_without_compressing_it_again(
    tmp_path: Path, new_packer: NewPacker
) -> None:
    storage = MemoryStorage()
    paths = [plant_path(tmp_path, store_path(n, f"p{n}"), {b"f": b"%d" % n}) for n in (1, 2)]
    gzip, _ = new_packer("gzip", storage)
    alone = await layers_of(gzip, paths)
    packer, store = new_packer("both", storage)
    assert not await packer.has_all([paths, paths[:1]])

    found = await layers_of(packer, paths)

    assert [layer.descriptor for layer in found] == [layer.descriptor for layer in alone]
    assert None not in [layer.zstd for layer in found]
    assert sorted(store.read) == paths
    assert packer.counters.layers_assembled == 1
    assert await packer.has_all([paths, paths[:1]])
    again, read = new_packer("both", storage)
    assert await layers_of(again, paths) == found
    assert not read.read


async def stored(storage: MemoryStorage) -> list[str]:
    return [key for prefix in ("blobs/", "layers/", "paths/") for key in await storage.keys(prefix)]


@pytest.mark.slow
async def test_records_of_one_codec_do_not_depend_on_the_other(
    tmp_path: Path, new_packer: NewPacker
) -> None:
    path = plant_path(tmp_path, store_path(1, "p"), {b"f": b"1"})
    storages = {name: MemoryStorage() for name in ("gzip", "zstd", "both")}
    for name, storage in storages.items():
        await layers_of(new_packer(name, storage)[0], [path, path])

    objects = {
        name: {key: await storage.read(key) for key in await stored(storage)}
        for name, storage in storages.items()
    }

    assert objects["both"] == {**objects["gzip"], **objects["zstd"]}


@pytest.mark.slow
async def test_a_lost_blob_of_either_codec_is_made_again(
    tmp_path: Path, new_packer: NewPacker
) -> None:
    storage = MemoryStorage()
    path = plant_path(tmp_path, store_path(1, "p"), {b"f": b"1"})
    layer = await new_packer("both", storage)[0].layer([path])
    assert layer.zstd is not None

    for blob in (layer.descriptor, layer.zstd):
        await storage.delete(keys.blob(blob.digest))
        assert await new_packer("both", storage)[0].layer([path]) == layer
        assert len(await storage.read(keys.blob(blob.digest))) == blob.size


@pytest.mark.slow
async def test_a_path_that_changed_between_the_codecs_is_an_error(
    tmp_path: Path, new_packer: NewPacker
) -> None:
    storage = MemoryStorage()
    path = plant_path(tmp_path, store_path(1, "p"), {b"f": b"1"})
    await new_packer("gzip", storage)[0].layer([path])
    (tmp_path / path.base / "f").write_bytes(b"2")
    packer, _ = new_packer("both", storage)

    with pytest.raises(BytesChanged, match="its content") as raised:
        await packer.layer([path])

    record = str(raised.value).rpartition("delete ")[2].partition(" ")[0]
    await storage.delete(record)
    assert (await new_packer("both", storage)[0].layer([path])).zstd is not None


@pytest.mark.slow
async def test_after_a_failed_read_all_memory_is_free_again(
    tmp_path: Path, new_packer: NewPacker
) -> None:
    path = store_path(1, "p")
    plant_path(tmp_path, path, {b"a": NOISE})
    os.mkfifo(tmp_path / path.base / "c")
    whole = plant_path(tmp_path, store_path(2, "q"), {b"f": NOISE})
    packer, _ = new_packer("both", workers=1)

    for _ in range(10):
        with pytest.raises(Unpackable):
            await packer.layer([path])

    assert (await packer.layer([whole])).zstd is not None
