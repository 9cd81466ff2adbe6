"""Turn tar bytes into layer blobs in one pass: hash, compress, hash again, write.

A blob has the codec's prefix, the members of its paths' blocks, and the codec's end.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

from app.builder.images.image import Layer
from app.builder.images.packing.blocks import BlockStream, Buffers
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.inorder import InOrder
from app.builder.images.packing.record import PackedPath
from app.oci import Descriptor, Digest
from app.system.blocking import blocking
from app.system.disk import translate_disk_errors
from app.system.threads import check


class BlobWriter:
    """Write the members of one tar, which come in order, in one blob for each codec.

    ``blobs`` are the codecs, and the file that gets each one's blob.
    """

    def __init__(self, blobs: Sequence[tuple[Codec, BinaryIO]]) -> None:
        self.codecs = tuple(codec for codec, _ in blobs)
        self._blobs = tuple(_Blob(codec, file) for codec, file in blobs)
        self._diff_id = hashlib.sha256()
        self._tar_size = 0
        # The prefix and the end of the archive are the same in all codecs.
        self._diff_id.update(self.codecs[0].prefix.tar)

    def add_tar(self, block: memoryview | bytes) -> None:
        self._diff_id.update(block)
        self._tar_size += len(block)

    def add_member(self, member: bytes, codec: int = 0) -> None:
        """Add a member to the blob of a codec, by its number."""
        self._blobs[codec].add_member(member)

    def finish(self) -> tuple[PackedPath, ...]:
        """Return the result in each codec."""
        self._diff_id.update(self.codecs[0].end.tar)
        diff_id = Digest("sha256", self._diff_id.hexdigest())
        return tuple(blob.finish(diff_id, self._tar_size) for blob in self._blobs)


class _Blob:
    def __init__(self, codec: Codec, file: BinaryIO) -> None:
        self._codec = codec
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0
        self._members: list[int] = []
        self._write(codec.prefix.compressed)

    def add_member(self, member: bytes) -> None:
        self._members.append(len(member))
        self._write(member)

    def finish(self, diff_id: Digest, tar_size: int) -> PackedPath:
        self._write(self._codec.end.compressed)
        digest = Digest("sha256", self._digest.hexdigest())
        return PackedPath(
            layer=Layer(Descriptor(self._codec.media_type, digest, self._size), diff_id),
            tar_size=tar_size,
            prefix=len(self._codec.prefix.compressed),
            members=tuple(self._members),
            end=len(self._codec.end.compressed),
        )

    def _write(self, member: bytes) -> None:
        self._digest.update(member)
        self._size += len(member)
        with translate_disk_errors():
            self._file.write(member)


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
        self._members = InOrder(threads, limit=limit * parts)
        self._buffers = buffers
        self._short = min(sizes)
        self._filling: bytearray | None = None
        self._is_first = True

    def begin(self) -> bytearray:
        self._filling = self._buffers.take(self._members.advance)
        return self._filling

    def deliver(self, buffer: bytearray, filled: int) -> bytearray:
        check()
        block = memoryview(buffer)[:filled]
        if self._is_first and filled < self._short:
            # Most store paths are one short block: the reading thread compresses it.
            for number, codec in enumerate(self._blob.codecs):
                self._add(block, number, codec.compress(block))
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
        self._members.finish()

    def release(self) -> None:
        """Wait until no thread works for the blob, which may then be closed, also after a failure."""
        self._members.wait()
        if self._filling is not None:
            self._buffers.put_back(self._filling)

    def _compress(
        self, number: int, codec: Codec, part: memoryview, *, end: Callable[[], None]
    ) -> None:
        self._members.add(partial(codec.compress, part), partial(self._add, part, number), end)

    def _add(self, part: memoryview, number: int, member: bytes) -> None:
        if number == 0:
            self._blob.add_tar(part)
        self._blob.add_member(member, number)


def _nothing() -> None:
    pass
