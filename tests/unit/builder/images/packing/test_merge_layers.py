"""A layer of several paths out of their blobs: what it may hold in memory, and what it gives back."""

import gzip
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.builder.images.packing import codec
from app.builder.images.packing.blob import BlobWriter, Compressed
from app.builder.images.packing.blocks import Buffers
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.crc32 import crc32
from app.builder.images.packing.merge_layers import PartUnusable, merge_layers
from app.builder.images.packing.record import PackedPath
from app.oci import Digest

PLAIN = codec.find("zlib")
SMALL_BLOCKS = replace(PLAIN, block_size=1024)


def part(blocks: int) -> tuple[bytes, PackedPath]:
    blob = BlobWriter([(SMALL_BLOCKS, file := io.BytesIO())])
    for number in range(blocks):
        tar = bytes([number % 251]) * 1024
        blob.add_tar(tar)
        blob.add_block(Compressed(SMALL_BLOCKS.compress(tar), len(tar), crc32(tar)))
    [packed] = blob.finish()
    return file.getvalue(), packed


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def run(
    parts: list[tuple[bytes, PackedPath]],
    using: Codec,
    threads: ThreadPoolExecutor,
    room: Buffers,
    file: io.BytesIO | None = None,
) -> PackedPath:
    blob = BlobWriter([(using, file or io.BytesIO())])
    opened = ((io.BytesIO(body), packed) for body, packed in parts)
    merge_layers(blob, opened, threads=threads, limit=16, buffers=room)
    [packed] = blob.finish()
    return packed


def is_free(room: Buffers, count: int) -> bool:
    """Whether exactly ``count`` can be had."""
    waited = threading.Event()

    def none_left() -> bool:
        waited.set()
        room.release()
        return True

    for _ in range(count):
        room.reserve(none_left)
    first_to_wait = not waited.is_set()
    room.reserve(none_left)
    return first_to_wait and waited.is_set()


@pytest.mark.slow
def test_what_is_in_memory_at_once_is_bounded_for_all_layers_together(
    threads: ThreadPoolExecutor,
) -> None:
    under_way = most = 0
    lock = threading.Lock()

    def decompress(block: bytes, size: int) -> bytes:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        threading.Event().wait(0.002)
        tar = PLAIN.decompress(block, size)
        with lock:
            under_way -= 1
        return tar

    counting = replace(SMALL_BLOCKS, decompress=decompress)
    parts = [part(40), part(1), part(40)]
    room = Buffers(3, size=1024)
    with ThreadPoolExecutor(4) as givers:
        running = [givers.submit(run, parts, counting, threads, room) for _ in range(4)]
        layers = {packed.result(300).layer for packed in running}

    assert len(layers) == 1
    assert most <= 3
    assert is_free(room, 3)


def test_room_for_a_block_takes_the_place_of_an_idle_buffer() -> None:
    def no_more() -> bool:
        raise AssertionError("there is room")

    buffers = Buffers(2, size=10)
    first = [buffers.take(no_more) for _ in range(2)]
    for buffer in first:
        buffers.put_back(buffer)

    buffers.reserve(no_more)
    used_again = buffers.take(no_more)
    buffers.release()
    another = buffers.take(no_more)

    assert any(used_again is buffer for buffer in first)
    assert not any(another is buffer for buffer in first)


@pytest.mark.parametrize("instead", [b"", b"x" * 9, b"x" * 10_000])
def test_after_a_damaged_blob_all_room_is_free_again(
    threads: ThreadPoolExecutor, instead: bytes
) -> None:
    whole, (body, packed) = part(5), part(9)
    kept = packed.prefix + sum(packed.blocks[:4])
    room = Buffers(2, size=1024)

    with pytest.raises(PartUnusable):
        run([whole, (body[:kept] + instead, packed)], SMALL_BLOCKS, threads, room)

    assert is_free(room, 2)


@pytest.mark.slow
@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_of_a_stored_blob_gets_into_a_layer(
    threads: ThreadPoolExecutor, bit: int
) -> None:
    """Each place is tried: a block that ends the stream too early has all its bytes, for example."""
    first, (body, packed), last = part(1), part(2), part(1)
    sound = run([first, (body, packed), last], SMALL_BLOCKS, threads, Buffers(2, size=1024))
    refused = 0
    for place in range(packed.prefix, len(body) - packed.end):
        damaged = bytearray(body)
        damaged[place] ^= 1 << bit
        parts = [first, (bytes(damaged), packed), last]
        file = io.BytesIO()
        try:
            merged = run(parts, SMALL_BLOCKS, threads, Buffers(2, size=1024), file)
        except PartUnusable:
            refused += 1
        else:
            # Between the last bits of a block and the next byte; no reader looks at these.
            assert merged.layer.diff_id == sound.layer.diff_id
            assert Digest.of(gzip.decompress(file.getvalue())) == sound.layer.diff_id

    assert refused > sum(packed.blocks) * 3 // 4
