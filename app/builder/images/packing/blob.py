"""Turn tar bytes into layer blobs in one pass: hash, compress, hash again, write.

A blob has the codec's prefix, the compressed blocks of its paths, and the codec's end.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from app.builder.images.image import Layer
from app.builder.images.packing.blocks import BlockStream, Buffers
from app.builder.images.packing.codec import BEGINNING, Codec
from app.builder.images.packing.crc32 import combine, crc32
from app.builder.images.packing.inorder import InOrder
from app.builder.images.packing.record import PackedPath
from app.builder.images.packing.tar_header import END_OF_ARCHIVE
from app.oci import Descriptor, Digest
from app.system.blocking import blocking
from app.system.disk import translate_disk_errors
from app.system.threads import check


@dataclass(frozen=True, slots=True)
class Compressed:
    """A block of a tar; ``size`` and ``check`` are the size and the CRC-32 of the block itself."""

    data: bytes
    size: int
    check: int


class BlobWriter:
    """Write the blocks of one tar, which come in order, in one blob for each codec.

    ``blobs`` are the codecs, and the file that gets each one's blob.
    """

    def __init__(self, blobs: Sequence[tuple[Codec, BinaryIO]]) -> None:
        self.codecs = tuple(codec for codec, _ in blobs)
        self._blobs = tuple(_Blob(codec, file) for codec, file in blobs)
        self._diff_id = hashlib.sha256(BEGINNING)

    def add_tar(self, block: memoryview | bytes) -> None:
        self._diff_id.update(block)

    def add_block(self, block: Compressed, codec: int = 0) -> None:
        """Add a block to the blob of a codec, by its number."""
        self._blobs[codec].add_block(block)

    def finish(self) -> tuple[PackedPath, ...]:
        """Return the result in each codec."""
        self._diff_id.update(END_OF_ARCHIVE)
        diff_id = Digest("sha256", self._diff_id.hexdigest())
        return tuple(blob.finish(diff_id) for blob in self._blobs)


class _Blob:
    def __init__(self, codec: Codec, file: BinaryIO) -> None:
        self._codec = codec
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0
        self._tar_size = 0
        self._check = crc32(BEGINNING)
        self._blocks: list[int] = []
        self._checks: list[int] = []
        self._write(codec.prefix)

    def add_block(self, block: Compressed) -> None:
        self._tar_size += block.size
        self._check = combine(self._check, block.check, block.size)
        self._blocks.append(len(block.data))
        self._checks.append(block.check)
        self._write(block.data)

    def finish(self, diff_id: Digest) -> PackedPath:
        check = combine(self._check, crc32(END_OF_ARCHIVE), len(END_OF_ARCHIVE))
        end = self._codec.end(check, len(BEGINNING) + self._tar_size + len(END_OF_ARCHIVE))
        self._write(end)
        digest = Digest("sha256", self._digest.hexdigest())
        return PackedPath(
            layer=Layer(Descriptor(self._codec.media_type, digest, self._size), diff_id),
            tar_size=self._tar_size,
            prefix=len(self._codec.prefix),
            blocks=tuple(self._blocks),
            checks=tuple(self._checks),
            end=len(end),
        )

    def _write(self, part: bytes) -> None:
        self._digest.update(part)
        self._size += len(part)
        with translate_disk_errors():
            self._file.write(part)


@blocking
@contextmanager
def tar_stream(
    blob: BlobWriter, *, threads: Executor, limit: int, buffers: Buffers
) -> Iterator[BlockStream]:
    """Open a tar stream; when the context has ended, the blobs have all that was written to it.

    The caller's thread reads, since a path of many small files waits for that, and compresses
    when it is ahead.  The buffers, which are as large as the largest block of a codec, bound
    memory; ``limit`` keeps one path from taking all of them.
    """
    blocks = _Blocks(blob, threads, limit, buffers)
    try:
        stream = BlockStream(blocks.begin(), blocks.deliver)
        yield stream
        stream.flush()
        blocks.finish()
    finally:
        blocks.release()


class _Blocks:
    """Cut each buffer at the multiples of every codec's block size, and compress the parts."""

    def __init__(self, blob: BlobWriter, threads: Executor, limit: int, buffers: Buffers) -> None:
        self._blob = blob
        sizes = [codec.block_size for codec in blob.codecs]
        parts = sum(max(sizes) // size for size in sizes)
        self._pieces = InOrder(threads, limit=limit * parts)
        self._buffers = buffers
        self._short = min(sizes)
        self._filling: bytearray | None = None
        self._is_first = True

    def begin(self) -> bytearray:
        self._filling = self._buffers.take(self._pieces.advance)
        return self._filling

    def deliver(self, buffer: bytearray, filled: int) -> bytearray:
        check()
        block = memoryview(buffer)[:filled]
        if self._is_first and filled < self._short:
            # Most store paths are one short block: the reading thread compresses it.
            for number, codec in enumerate(self._blob.codecs):
                self._add(block, number, _compressed(codec, block))
            return buffer
        self._is_first = False
        *parts, last = [
            (number, codec, block[start : start + codec.block_size])
            for number, codec in enumerate(self._blob.codecs)
            for start in range(0, filled, codec.block_size)
        ]
        for part in parts:
            self._compress(*part, end=_nothing)
        # Pieces end in order, so the buffer is free when the last one has ended.
        self._compress(*last, end=partial(self._buffers.put_back, buffer))
        self._filling = None
        return self.begin()

    def finish(self) -> None:
        self._pieces.finish()

    def release(self) -> None:
        """Wait until no thread works for the blob, which may then be closed, also after a failure."""
        self._pieces.wait()
        if self._filling is not None:
            self._buffers.put_back(self._filling)

    def _compress(
        self, number: int, codec: Codec, part: memoryview, *, end: Callable[[], None]
    ) -> None:
        work = partial(_compressed, codec, part)
        self._pieces.add(work, partial(self._add, part, number), end)

    def _add(self, part: memoryview, number: int, block: Compressed) -> None:
        if number == 0:
            self._blob.add_tar(part)
        self._blob.add_block(block, number)


def _compressed(codec: Codec, part: memoryview) -> Compressed:
    return Compressed(codec.compress(part), len(part), crc32(part))


def _nothing() -> None:
    pass
