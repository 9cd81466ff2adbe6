"""How many blocks are in memory at once, and who works on them."""

import asyncio
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from app.builder.images.packing import codec
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.layer_writer import LayerWriter
from app.builder.nix.closure import StorePath
from app.builder.nix.programs.local_store import LocalStore
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import (
    closure_query,
    local_store,
    plant_path,
    store_path,
)

# Much longer than a block takes to be filled, so that readers are far ahead of compressors.
SLOW_SECONDS = 0.02


NAMES = {"gzip": ("gzip",), "zstd": ("zstd",), "both": ("gzip", "zstd")}


def noting(name: str, note: Callable[[memoryview | bytes], None]) -> Codec:
    """A codec that lets ``note`` see each block before it is compressed."""
    real = codec.find(name)

    def compress(block: memoryview | bytes) -> bytes:
        note(block)
        return real.compress(block)

    return replace(real, compress=compress)


def layer_writer(store: Path, workers: Workers, *codecs: Codec) -> LayerWriter:
    return LayerWriter(
        storage=MemoryStorage(),
        workers=workers,
        brief=Workers(1),
        codecs=codecs,
        store=local_store(store),
    )


def plant_blocks(store: Path, number: int, blocks: int, block_size: int) -> StorePath:
    """A path that fills so many blocks and part of one more, without taking room on the disk."""
    path = plant_path(store, store_path(number, f"p{number}"), {b"file": b""})
    os.truncate(store / path.base / "file", blocks * block_size)
    return path


async def test_reading_and_compressing_leave_the_processor_to_the_event_loop(
    tmp_path: Path,
) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    seen: set[int] = set()
    codec = noting("gzip", lambda _: seen.add(os.getpriority(os.PRIO_PROCESS, 0)))
    path = plant_blocks(tmp_path, 10, 6, codec.block_size)
    writer = layer_writer(tmp_path, Workers(3, background=True), codec)

    seen.clear()
    await writer.pack_path(path, [codec])
    await writer.close()

    assert seen == {min(own + 3, 19)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "with_codec", "allowed"),
    [
        (1, "gzip", 4),
        (2, "gzip", 6),
        (16, "gzip", 18),
        (64, "gzip", 18),
        (1, "zstd", 4),
        (2, "zstd", 6),
        (16, "zstd", 7),
        (64, "zstd", 7),
        (1, "both", 3),
        (64, "both", 3),
    ],
)
async def test_the_number_of_blocks_in_memory_is_bounded_for_any_paths_and_cores(
    tmp_path: Path, workers: int, with_codec: str, allowed: int
) -> None:
    # Buffers are used again, so there are as many as were ever out at once.
    seen: dict[int, object] = {}

    def note(block: memoryview | bytes) -> None:
        buffer = block.obj if isinstance(block, memoryview) else block
        seen[id(buffer)] = buffer
        threading.Event().wait(SLOW_SECONDS)

    slow = [noting(name, note) for name in NAMES[with_codec]]
    size = max(one.block_size for one in slow)
    paths = [plant_blocks(tmp_path, number, 2, size) for number in range(10, 18 + min(workers, 16))]
    writer = layer_writer(tmp_path, Workers(workers), *slow)

    await asyncio.gather(*(writer.pack_path(path, slow) for path in paths))
    await writer.close()

    assert allowed / 2 < len(seen) <= allowed
    # 200 MB are promised; Python and the server take a third of them.
    # Of a buffer, each codec compresses all blocks at once.
    costs = (size + size // one.block_size * (one.block_cost - one.block_size) for one in slow)
    assert allowed * (sum(costs) - size * (len(slow) - 1)) <= 64 << 20


@pytest.mark.slow
async def test_a_layer_of_several_paths_is_made_in_the_memory_they_were_packed_in(
    tmp_path: Path,
) -> None:
    zstd = codec.find("zstd")
    paths = [plant_blocks(tmp_path, number, 2, zstd.block_size) for number in range(10, 22)]
    writer = layer_writer(tmp_path, Workers(16), zstd)
    tracemalloc.start()
    try:
        packed = await asyncio.gather(*(writer.pack_path(path, [zstd]) for path in paths))
        buffers, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()

        await writer.merge([part for [part] in packed], zstd)

        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await writer.close()
    # Seven blocks, and what else Python holds.
    assert 6.5 * zstd.block_size < buffers
    assert most < 8 * zstd.block_size


@pytest.mark.slow
async def test_one_large_path_is_compressed_by_several_threads(tmp_path: Path) -> None:
    threads: set[int] = set()
    all_work = threading.Event()

    def note(_: object) -> None:
        threads.add(threading.get_ident())
        if len(threads) == 4:
            all_work.set()
        all_work.wait(10)

    slow = noting("gzip", note)
    path = plant_blocks(tmp_path, 1, 12, slow.block_size)
    writer = layer_writer(tmp_path, Workers(4), slow)

    await writer.pack_path(path, [slow])
    await writer.close()

    assert len(threads) == 4


async def test_a_path_of_one_short_block_is_compressed_by_the_thread_that_read_it(
    tmp_path: Path,
) -> None:
    threads: list[str] = []
    plain = noting("gzip", lambda _: threads.append(threading.current_thread().name))
    writer = layer_writer(tmp_path, Workers(4), plain)

    path = plant_path(tmp_path, store_path(1, "short"), {b"file": b"short"})
    await writer.pack_path(path, [plain])
    await writer.close()

    assert [name.startswith("compress") for name in threads] == [False]


@pytest.mark.slow
async def test_paths_that_wait_for_blocks_occupy_no_worker(tmp_path: Path) -> None:
    going_on = threading.Event()

    def note(_: object) -> None:
        going_on.wait()

    halted = noting("zstd", note)
    workers = Workers(32)
    writer = layer_writer(tmp_path, workers, halted)
    paths = [plant_blocks(tmp_path, number, 1, halted.block_size) for number in range(10, 60)]
    packing = asyncio.gather(*(writer.pack_path(path, [halted]) for path in paths))
    try:
        await asyncio.sleep(SLOW_SECONDS)

        async with asyncio.timeout(10):
            await workers.run(os.getpid)
    finally:
        going_on.set()
        await packing
        await writer.close()


class _Storage(MemoryStorage):
    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self._events = events

    async def adopt(self, key: str, file: BinaryIO) -> None:
        self._events.append("storing")
        await super().adopt(key, file)


class _Store(LocalStore):
    def __init__(self, directory: Path, events: list[str]) -> None:
        super().__init__(directory, query=closure_query())
        self._events = events

    @asynccontextmanager
    async def fetching(self, path: StorePath) -> AsyncIterator[None]:
        async with super().fetching(path):
            yield
        self._events.append("released")


async def test_a_download_is_released_before_its_layer_is_stored(tmp_path: Path) -> None:
    events: list[str] = []
    gzip = codec.find("gzip")
    writer = LayerWriter(
        storage=_Storage(events),
        workers=Workers(2),
        brief=Workers(1),
        codecs=(gzip,),
        store=_Store(tmp_path, events),
    )

    await writer.pack_path(plant_blocks(tmp_path, 10, 1, gzip.block_size), [gzip])
    await writer.close()

    assert events == ["released", "storing"]
