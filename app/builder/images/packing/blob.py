"""Turn tar bytes into a layer blob in one pass: hash, compress, hash again, write.

A blob has the codec's prefix, the members of its paths' blocks, and the codec's end.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

from app.builder.images.image import Layer
from app.builder.images.packing.blocks import BlockStream, Buffers
from app.builder.images.packing.codec import Codec, Member
from app.builder.images.packing.inorder import InOrder
from app.builder.images.packing.record import PackedPath
from app.oci import Descriptor, Digest
from app.system.blocking import blocking
from app.system.disk import translate_disk_errors
from app.system.threads import check


class BlobWriter:
    """Write members, which come in order, and compute both hashes."""

    def __init__(self, codec: Codec, file: BinaryIO) -> None:
        self._codec = codec
        self._file = file
        self._diff_id = hashlib.sha256()
        self._digest = hashlib.sha256()
        self._tar_size = 0
        self._size = 0
        self._members: list[int] = []
        self._constant(codec.prefix)

    def add_tar(self, block: memoryview | bytes) -> None:
        self._diff_id.update(block)
        self._tar_size += len(block)

    def add_member(self, member: bytes) -> None:
        self._members.append(len(member))
        self._write(member)

    def finish(self) -> PackedPath:
        tar_size = self._tar_size - len(self._codec.prefix.tar)
        self._constant(self._codec.end)
        digest = Digest("sha256", self._digest.hexdigest())
        return PackedPath(
            layer=Layer(
                Descriptor(self._codec.media_type, digest, self._size),
                Digest("sha256", self._diff_id.hexdigest()),
            ),
            tar_size=tar_size,
            prefix=len(self._codec.prefix.compressed),
            members=tuple(self._members),
            end=len(self._codec.end.compressed),
        )

    def _constant(self, member: Member) -> None:
        self.add_tar(member.tar)
        self._write(member.compressed)

    def _write(self, member: bytes) -> None:
        self._digest.update(member)
        self._size += len(member)
        with translate_disk_errors():
            self._file.write(member)


@blocking
@contextmanager
def tar_stream(
    blob: BlobWriter, codec: Codec, *, threads: Executor, limit: int, buffers: Buffers
) -> Iterator[BlockStream]:
    """Open a tar stream; when the context has ended, the blob has all that was written to it.

    The caller's thread reads, since a path of many small files waits for that, and compresses
    when it is ahead.  The buffers bound memory; ``limit`` keeps one path from taking all of them.
    """
    blocks = _Blocks(blob, codec, InOrder(threads, limit=limit), buffers)
    try:
        stream = BlockStream(blocks.begin(), blocks.deliver)
        yield stream
        stream.flush()
        blocks.finish()
    finally:
        blocks.release()


class _Blocks:
    def __init__(self, blob: BlobWriter, codec: Codec, members: InOrder, buffers: Buffers) -> None:
        self._blob = blob
        self._codec = codec
        self._members = members
        self._buffers = buffers
        self._filling: bytearray | None = None
        self._is_first = True

    def begin(self) -> bytearray:
        self._filling = self._buffers.take(self._members.advance)
        return self._filling

    def deliver(self, buffer: bytearray, filled: int) -> bytearray:
        check()
        block = memoryview(buffer)[:filled]
        if self._is_first and filled < len(buffer):
            # Most store paths are one short block: the reading thread compresses it.
            self._add(block, self._codec.compress(block))
            return buffer
        self._is_first = False
        self._members.add(
            partial(self._codec.compress, block),
            partial(self._add, block),
            partial(self._buffers.give_back, buffer),
        )
        self._filling = None
        return self.begin()

    def finish(self) -> None:
        self._members.finish()

    def release(self) -> None:
        """Wait until no thread works for the blob, which may then be closed, also after a failure."""
        self._members.wait()
        if self._filling is not None:
            self._buffers.give_back(self._filling)

    def _add(self, block: memoryview, member: bytes) -> None:
        self._blob.add_tar(block)
        self._blob.add_member(member)
