"""The packer's face: layers out of store paths, on real storage."""

import asyncio
import io
import os
import re
import tarfile
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from app.builder.images.image import Layer
from app.builder.images.packing import codec
from app.builder.images.packing.changes import BytesChanged
from app.builder.images.packing.entry import Directory, Entry, File, Symlink, archived
from app.builder.images.packing.packer import LayerPacker, PackingCounters
from app.builder.images.packing.tree import TreeWriter
from app.builder.nix.closure import StorePath
from app.errors import StorageUnavailable, StoreUnreadable, Unpackable
from app.oci import Digest
from app.storage import keys
from app.storage.existence_cache import BlobExistenceCache
from app.storage.filesystem import FilesystemStorage
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from app.telemetry.lookups import STORED
from tests.unit.builder.images.packing.test_codec import unpack
from tests.unit.builder.images.packing.trees import ODDITIES, local_store, plant_path, store_path
from tests.waiting import until

SMALL = store_path(1, "small-1.0")
LARGE = store_path(2, "large-2.0")
ODD = store_path(3, "odd-3.0")
# The largest of the codecs.
BLOCK_SIZE = codec.find("zstd").block_size
PATHS = (SMALL, LARGE, ODD)
PackerFactory = Callable[..., LayerPacker]
P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    plant_path(store, SMALL, {b"bin": {b"small": b"#!/bin/sh\n"}})
    noise = os.urandom(1000) * 12_000
    plant_path(
        store, LARGE, {b"a": noise[: 2 * BLOCK_SIZE + 77], b"b": b"b", b"c": noise[:BLOCK_SIZE]}
    )
    plant_path(store, ODD, ODDITIES)
    return store


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
async def packer_for(store: Path) -> AsyncIterator[PackerFactory]:
    made: list[LayerPacker] = []

    def make(
        storage: MemoryStorage | FilesystemStorage,
        *,
        workers: int = 2,
        with_codec: str = "gzip",
        directory: Path = store,
        existence: BlobExistenceCache | None = None,
    ) -> LayerPacker:
        packer = LayerPacker(
            storage=storage,
            existence=existence or BlobExistenceCache(storage),
            workers=Workers(workers),
            codecs=codec.find_all(with_codec),
            store=local_store(directory),
        )
        made.append(packer)
        return packer

    yield make
    for packer in made:
        await packer.close()


async def unpacked(storage: MemoryStorage, layer: Layer) -> bytes:
    """Return the layer's tar, after a check of its descriptor."""
    blob = await storage.read(keys.blob(layer.descriptor.digest))
    assert len(blob) == layer.descriptor.size
    assert Digest.of(blob) == layer.descriptor.digest
    tar = unpack(layer.descriptor.media_type, blob)
    assert Digest.of(tar) == layer.diff_id
    return tar


def listed(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


class LateStorage(MemoryStorage):
    """Finds no objects in the next ``misses`` reads of several."""

    misses = 0

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        if self.misses:
            self.misses -= 1
            return [None for _ in keys]
        return await super().read_each(keys)


class CountingStorage(MemoryStorage):
    reads = 0

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        self.reads += 1
        return await super().read_each(keys)


@pytest.mark.slow
@pytest.mark.parametrize("with_codec", ["gzip", "both"])
async def test_a_path_stored_by_another_server_during_packing_has_its_layer(
    packer_for: PackerFactory, with_codec: str
) -> None:
    storage = LateStorage()
    expected = await packer_for(storage, with_codec=with_codec).layer([SMALL])
    other = packer_for(storage, with_codec=with_codec)
    storage.misses = len(codec.find_all(with_codec))

    assert await other.layer([SMALL]) == expected
    assert storage.misses == 0


@pytest.mark.slow
async def test_each_path_is_looked_up_once_and_then_remembered(packer_for: PackerFactory) -> None:
    storage = CountingStorage()
    packer = packer_for(storage)
    paths = [SMALL, ODD]

    await asyncio.gather(*(packer.layer([path]) for path in paths for _ in range(3)))

    assert storage.reads == len(paths)
    await packer.layer(paths)
    assert storage.reads == len(paths) + 1  # for the record of the layer of both
    await asyncio.gather(*(packer.layer([path]) for path in paths))
    assert storage.reads == len(paths) + 1


@pytest.mark.slow
@pytest.mark.parametrize("with_codec", ["gzip", "zlib", "zstd"])
@pytest.mark.parametrize("paths", [(SMALL,), (LARGE,), PATHS])
async def test_digest_size_and_diff_id_are_those_of_the_stored_bytes(
    packer_for: PackerFactory, storage: MemoryStorage, with_codec: str, paths: tuple[StorePath, ...]
) -> None:
    before = STORED.copy()

    layer = await packer_for(storage, with_codec=with_codec).layer(paths)

    written = [await storage.size(key) for key in await storage.keys("blobs/")]
    assert STORED["layers"] - before["layers"] == sum(written) >= layer.descriptor.size
    names = listed(await unpacked(storage, layer))

    assert names[:2] == ["nix", "nix/store"]
    # By name, not by hash: large, odd, small.
    inside = dict.fromkeys(name.split("/")[2] for name in names[2:])
    assert list(inside) == [path.base for path in sorted(paths, key=lambda path: path.name)]
    assert len(names) == len(set(names))


@pytest.mark.slow
async def test_every_layer_begins_with_its_parents_0755_and_ends_once(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    tar = await unpacked(storage, await packer_for(storage).layer(PATHS))

    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        parents = [(member.name, member.mode) for member in archive.getmembers()[:2]]

    assert parents == [("nix", 0o755), ("nix/store", 0o755)]
    assert tar[-1024:] == bytes(1024)
    assert tar[-1536:-1024] != bytes(512)


@pytest.mark.slow
@pytest.mark.parametrize("with_codec", ["gzip", "zstd"])
async def test_layers_do_not_depend_on_the_number_of_workers_or_the_order_of_requests(
    packer_for: PackerFactory, with_codec: str
) -> None:
    one = packer_for(MemoryStorage(), workers=1, with_codec=with_codec)
    many = packer_for(MemoryStorage(), workers=7, with_codec=with_codec)

    first = [await one.layer([path]) for path in PATHS] + [await one.layer(PATHS)]
    turned = await asyncio.gather(many.layer(PATHS[::-1]), *(many.layer([p]) for p in PATHS[::-1]))

    assert [*turned[:0:-1], turned[0]] == first


@pytest.mark.slow
async def test_the_event_loop_neither_reads_nor_compresses_nor_inflates(
    packer_for: PackerFactory, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: set[int] = set()
    gzip = codec.find("gzip")

    def note(work: Callable[P, T]) -> Callable[P, T]:
        def noted(*args: P.args, **kwargs: P.kwargs) -> T:
            workers.add(threading.get_ident())
            return work(*args, **kwargs)

        return noted

    noting = replace(gzip, compress=note(gzip.compress), decompress=note(gzip.decompress))
    monkeypatch.setattr(codec, "find", lambda _: noting)
    monkeypatch.setattr(TreeWriter, "enter", note(TreeWriter.enter))
    packer = packer_for(storage)

    await packer.layer(PATHS)
    await packer.contents_layer([File(b"etc/passwd", b"root")])

    assert workers
    assert threading.get_ident() not in workers


# With the headers of its directory and its own, the second fills a block, the fifth two.
@pytest.mark.slow
@pytest.mark.parametrize(
    "size", [0, (1 << 20) - 1024, (1 << 20) - 1, 1 << 20, (2 << 20) - 1024, 1 + (2 << 20)]
)
@pytest.mark.parametrize("with_codec", ["gzip", "zstd"])
async def test_files_as_large_as_blocks_are_whole_on_one_core_and_on_many(
    packer_for: PackerFactory, tmp_path: Path, size: int, with_codec: str
) -> None:
    size *= codec.find(with_codec).block_size >> 20
    content = os.urandom(1 << 10) * (size >> 10) + b"x" * (size % 1024)
    plant_path(tmp_path, SMALL, {b"file": content})
    storage = MemoryStorage()
    one = packer_for(MemoryStorage(), workers=1, with_codec=with_codec, directory=tmp_path)
    many = packer_for(storage, workers=16, with_codec=with_codec, directory=tmp_path)

    layer = await many.layer([SMALL])

    assert await one.layer([SMALL]) == layer
    with tarfile.open(fileobj=io.BytesIO(await unpacked(storage, layer))) as archive:
        file = archive.extractfile(f"nix/store/{SMALL.base}/file")
        assert file is not None
        assert file.read() == content


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("with_codec", ["gzip", "zstd"])
async def test_many_paths_at_once_are_packed_with_a_few_buffers(
    packer_for: PackerFactory, tmp_path: Path, workers: int, with_codec: str
) -> None:
    """More than there are buffers, threads, or places for what waits to be stored."""
    block = codec.find(with_codec).block_size
    noise = os.urandom(1 << 12)
    paths = [store_path(number, f"p{number}") for number in range(10, 70)]
    for number, path in enumerate(paths):
        plant_path(
            tmp_path, path, {b"a": noise * (number % 7 * block // len(noise) // 2), b"b": b""}
        )
    storage = MemoryStorage()
    packer = packer_for(storage, workers=workers, with_codec=with_codec, directory=tmp_path)

    async with asyncio.timeout(300):
        together, *alone = await asyncio.gather(
            packer.layer(paths), *(packer.layer([path]) for path in paths)
        )

    assert packer.counters.paths_packed == len(paths)
    for layer in (together, *alone):
        await unpacked(storage, layer)


@pytest.mark.slow
async def test_another_grouping_compresses_nothing(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    packer = packer_for(storage)
    await packer.layer(PATHS)
    before = packer.counters
    assert before.paths_packed == 3

    await packer.layer([SMALL])
    await packer.layer([SMALL, ODD])

    assert packer.counters == PackingCounters(
        before.paths_packed, before.layers_assembled + 1, before.compressed_bytes
    )


@pytest.mark.slow
async def test_another_process_reuses_all_packed_paths(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    layer = await packer_for(storage).layer(PATHS)
    second = packer_for(storage)

    assert await second.layer(PATHS) == layer
    assert second.counters == PackingCounters()


@pytest.mark.slow
async def test_concurrent_callers_share_one_packing(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    packer = packer_for(storage)

    layers = await asyncio.gather(*(packer.layer(PATHS) for _ in range(10)))

    assert len(set(layers)) == 1
    assert (packer.counters.paths_packed, packer.counters.layers_assembled) == (3, 1)


@pytest.mark.slow
async def test_a_cancelled_caller_does_not_affect_the_others(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    packer = packer_for(storage)
    leaving = asyncio.create_task(packer.layer(PATHS))
    staying = asyncio.create_task(packer.layer(PATHS))
    await asyncio.sleep(0)

    leaving.cancel()

    await unpacked(storage, await staying)
    assert packer.counters.paths_packed == 3


@pytest.mark.slow
@pytest.mark.parametrize("paths", [(SMALL,), PATHS])
async def test_a_layer_whose_blob_is_gone_is_packed_again_with_the_same_digest(
    packer_for: PackerFactory, storage: MemoryStorage, paths: tuple[StorePath, ...]
) -> None:
    existence = BlobExistenceCache(storage)
    packer = packer_for(storage, existence=existence)
    layer = await packer.layer(paths)
    for key in await storage.keys("blobs/"):
        await storage.delete(key)

    existence.invalidate(layer.descriptor.digest)

    assert await packer.layer(paths) == layer
    await unpacked(storage, layer)


@pytest.mark.slow
async def test_a_path_whose_blob_was_deleted_is_packed_again_for_a_layer_of_several(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    packer = packer_for(storage)
    single = await packer.layer([LARGE])
    await storage.delete(keys.blob(single.descriptor.digest))

    layer = await packer.layer(PATHS)

    await unpacked(storage, layer)
    await unpacked(storage, single)


@pytest.mark.slow
async def test_content_that_changed_under_its_store_path_is_an_error(
    packer_for: PackerFactory, storage: MemoryStorage, tmp_path: Path
) -> None:
    plant_path(tmp_path / "one", SMALL, {b"file": b"one"})
    plant_path(tmp_path / "two", SMALL, {b"file": b"two"})
    layer = await packer_for(storage, directory=tmp_path / "one").layer([SMALL])
    await storage.delete(keys.blob(layer.descriptor.digest))

    with pytest.raises(
        BytesChanged, match=r"small-1\.0 was sha256:.* its content .* delete paths/"
    ):
        await packer_for(storage, directory=tmp_path / "two").layer([SMALL])


async def test_content_that_changed_is_accepted_once_its_record_is_deleted(
    packer_for: PackerFactory, storage: MemoryStorage, tmp_path: Path
) -> None:
    plant_path(tmp_path, SMALL, {b"file": b"one"})
    existence = BlobExistenceCache(storage)
    packer = packer_for(storage, directory=tmp_path, existence=existence)
    layer = await packer.layer([SMALL])
    (tmp_path / SMALL.base / "file").write_bytes(b"two")
    await storage.delete(keys.blob(layer.descriptor.digest))
    existence.invalidate(layer.descriptor.digest)
    with pytest.raises(BytesChanged) as failure:
        await packer.layer([SMALL])

    (record,) = re.findall(r"paths/[0-9a-f]{64}", failure.value.message)
    await storage.delete(record)

    assert await packer.layer([SMALL]) != layer


async def test_if_stores_differ_the_record_of_the_first_server_holds_for_both(
    packer_for: PackerFactory, storage: MemoryStorage, tmp_path: Path
) -> None:
    """A package that is not reproducible was built on each, and both pack it at once."""
    plant_path(tmp_path / "one", SMALL, {b"file": b"one"})
    plant_path(tmp_path / "two", SMALL, {b"file": b"two"})
    one = packer_for(storage, directory=tmp_path / "one")
    two = packer_for(storage, directory=tmp_path / "two")

    layers = await asyncio.gather(*(packer.layer([SMALL]) for packer in (one, two)))

    assert layers[0] == layers[1]
    assert [await packer.layer([SMALL]) for packer in (one, two, packer_for(storage))] == [
        layers[0]
    ] * 3


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
async def test_damaged_blobs_are_packed_again_and_not_copied(
    packer_for: PackerFactory, storage: MemoryStorage, count: int
) -> None:
    singles = [await packer_for(storage).layer([path]) for path in PATHS]
    for single in singles[-count:]:
        key = keys.blob(single.descriptor.digest)
        blob = bytearray(await storage.read(key))
        blob[len(blob) // 2] ^= 1
        await storage.write(key, bytes(blob))
    packer = packer_for(storage)

    layer = await packer.layer(PATHS)

    assert packer.counters.paths_packed == count
    assert layer == await packer_for(MemoryStorage()).layer(PATHS)
    for one in (layer, *singles):
        await unpacked(storage, one)


@pytest.mark.slow
async def test_a_damaged_blob_whose_path_is_gone_is_an_error_and_not_a_layer(
    packer_for: PackerFactory, storage: MemoryStorage, tmp_path: Path
) -> None:
    single, _ = [await packer_for(storage).layer([path]) for path in (LARGE, ODD)]
    key = keys.blob(single.descriptor.digest)
    await storage.write(key, bytes(single.descriptor.size))

    with pytest.raises(StoreUnreadable):
        await packer_for(storage, directory=tmp_path).layer([LARGE, ODD])

    assert await storage.keys("layers/") == []
    assert key not in await storage.keys("blobs/")


async def test_an_invalid_record_is_written_again(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    layer = await packer_for(storage).layer([SMALL])
    (key,) = await storage.keys("paths/")
    good = await storage.read(key)
    await storage.write(key, good.replace(b'"end":', b'"end":1'))

    assert await packer_for(storage).layer([SMALL]) == layer
    assert await storage.read(key) == good


@pytest.mark.slow
async def test_codecs_do_not_share_records(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    gzip = await packer_for(storage, with_codec="gzip").layer(PATHS)
    zstd = await packer_for(storage, with_codec="zstd").layer(PATHS)

    assert gzip.diff_id == zstd.diff_id
    assert gzip.descriptor != zstd.descriptor
    assert await packer_for(storage, with_codec="gzip").layer(PATHS) == gzip


async def test_a_missing_store_path_is_named_and_leaves_nothing(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    missing = store_path(9, "missing")

    with pytest.raises(StoreUnreadable, match=r"missing cannot be packed: No such file"):
        await packer_for(storage).layer([SMALL, missing])

    assert {key.partition("/")[0] for key in await storage.keys("")} <= {"blobs", "paths"}


@pytest.mark.slow
async def test_a_full_disk_is_storage_unavailable_and_leaves_nothing(
    packer_for: PackerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FilesystemStorage(tmp_path / "storage")
    await storage.start()
    monkeypatch.setattr(storage, "spool", lambda: open("/dev/full", "wb"))  # noqa: PTH123, SIM115

    with pytest.raises(StorageUnavailable, match="full"):
        await packer_for(storage).layer([LARGE])

    assert await storage.keys("") == []


@pytest.mark.slow
async def test_after_a_failure_every_buffer_is_free_again(
    packer_for: PackerFactory, storage: MemoryStorage, tmp_path: Path
) -> None:
    broken = [store_path(number, "broken") for number in range(10, 30)]
    for path in broken:
        plant_path(tmp_path / "store", path, {b"a": bytes(BLOCK_SIZE + 1), b"z": {b".wh.": b""}})
    packer = packer_for(storage, directory=tmp_path / "store")

    for path in broken:
        with pytest.raises(Unpackable, match="whiteout"):
            await packer.layer([path])


@pytest.fixture
def endless(tmp_path: Path) -> StorePath:
    """A file that takes no room on the disk and half an hour to pack."""
    path = plant_path(tmp_path / "store", store_path(4, "endless"), {b"zeros": b""})
    os.truncate(tmp_path / "store" / path.base / "zeros", 1 << 40)
    plant_path(tmp_path / "store", SMALL, {b"small": b""})
    return path


def is_open(file: Path) -> bool:
    """Return whether this process has the file open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if descriptor.readlink() == file:
                return True
    return False


async def test_packing_ends_with_the_last_caller_that_waits_for_it(
    packer_for: PackerFactory, storage: MemoryStorage, tmp_path: Path, endless: StorePath
) -> None:
    packer = packer_for(storage, directory=tmp_path / "store", workers=1)
    first = asyncio.create_task(packer.layer([endless]))
    second = asyncio.create_task(packer.layer([endless]))
    await asyncio.sleep(0)

    first.cancel()
    second.cancel()

    with pytest.raises(asyncio.CancelledError):
        await second
    # Its worker and its buffers are free again.
    await packer.layer([SMALL])
    await packer.close()
    assert len(await storage.keys("blobs/")) == 1


async def test_a_path_is_packed_again_for_a_caller_that_comes_while_it_is_cancelled(
    packer_for: PackerFactory, storage: MemoryStorage, tmp_path: Path, endless: StorePath
) -> None:
    packer = packer_for(storage, directory=tmp_path / "store", workers=1)
    leaving = asyncio.create_task(packer.layer([endless]))
    await until(lambda: is_open(tmp_path / "store" / endless.base / "zeros"))
    leaving.cancel()
    await asyncio.sleep(0)
    os.truncate(tmp_path / "store" / endless.base / "zeros", 1)

    layer = await packer.layer([endless])

    assert await storage.keys("blobs/") == [keys.blob(layer.descriptor.digest)]


async def test_entries_from_memory_become_a_layer_with_their_parents(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    packer = packer_for(storage)
    entries = (
        Symlink(b"usr/bin/env", b"/nix/store/x/bin/env"),
        File(b"etc/passwd", b"root\n"),
        Directory(b"tmp", mode=0o1777),
        Directory(b"home/nonroot", mode=0o775, uid=65532),
        Directory(b"."),
    )

    layer = await packer.contents_layer(entries)

    with tarfile.open(fileobj=io.BytesIO(await unpacked(storage, layer))) as archive:
        found = [(member.name, member.mode, member.uid, member.linkname) for member in archive]
    assert found == [
        ("nix", 0o755, 0, ""),
        ("nix/store", 0o755, 0, ""),
        (".", 0o755, 0, ""),
        ("etc", 0o755, 0, ""),
        ("etc/passwd", 0o644, 0, ""),
        ("home", 0o755, 0, ""),
        ("home/nonroot", 0o775, 65532, ""),
        ("tmp", 0o1777, 0, ""),
        ("usr", 0o755, 0, ""),
        ("usr/bin", 0o755, 0, ""),
        ("usr/bin/env", 0o777, 0, "/nix/store/x/bin/env"),
    ]
    compressed = packer.counters.compressed_bytes
    assert await packer.contents_layer(entries[::-1]) == layer
    assert packer.counters.compressed_bytes == compressed


async def test_tasks_that_compress_little_do_not_wait_for_large_paths(
    storage: MemoryStorage, store: Path
) -> None:
    workers, done = Workers(1), threading.Event()
    packer = LayerPacker(
        storage=storage,
        existence=BlobExistenceCache(storage),
        workers=workers,
        codecs=codec.find_all("gzip"),
        store=local_store(store),
    )
    await packer.layer([SMALL])
    await packer.layer([ODD])
    busy = asyncio.create_task(workers.run(done.wait, 300))

    async with asyncio.timeout(300):
        await packer.contents_layer((File(b"etc/passwd", b"root\n"),))
        await packer.layer([SMALL, ODD])
    done.set()

    assert await busy


@pytest.mark.slow
async def test_it_is_known_whether_layers_need_the_store(
    packer_for: PackerFactory, storage: MemoryStorage
) -> None:
    packer = packer_for(storage)
    assert await packer.has_all([])
    assert not await packer.has_all([[SMALL]])
    small = await packer.layer([SMALL])
    together = await packer.layer([LARGE, ODD])

    for seen in (packer, packer_for(storage)):
        assert await seen.has_all([[SMALL], [ODD, LARGE], [SMALL, ODD]])
    await storage.delete(keys.blob(together.descriptor.digest))
    assert await packer_for(storage).has_all([[ODD, LARGE]])  # made of its parts
    await storage.delete(keys.blob(small.descriptor.digest))
    assert not await packer_for(storage).has_all([[SMALL]])
    assert not await packer_for(storage).has_all([[ODD, LARGE], [SMALL, ODD]])


@pytest.mark.parametrize(
    "entries",
    [
        (File(b"a", b""), File(b"a", b"")),
        (File(b"a", b""), File(b"a/b", b"")),
        (archived(b"a", [b""]), File(b"a/b", b"")),
    ],
)
async def test_entries_that_are_not_a_tree_are_refused(
    packer_for: PackerFactory, storage: MemoryStorage, entries: tuple[Entry, ...]
) -> None:
    with pytest.raises(ValueError, match=r"twice|below"):
        await packer_for(storage).contents_layer(entries)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_prefix_and_end_are_the_same_in_every_layer(name: str) -> None:
    one, other = codec.find(name), codec.find(name)

    assert (one.prefix, one.end(7, 8)) == (other.prefix, other.end(7, 8))
