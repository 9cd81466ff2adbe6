"""One pass from tar bytes to a layer blob: hashed, compressed, hashed again, written.

A blob is the codec's prefix, the members of its paths' blocks, and the codec's end.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager
from typing import BinaryIO

from app.builder.image import Layer
from app.builder.packing.blocks import BLOCK_SIZE, BlockStream, Buffers
from app.builder.packing.codec import Codec, Member
from app.builder.packing.record import PackedPath
from app.oci import Descriptor, Digest
from app.storage.failures import reported


class BlobWriter:
    """Keeps both hashes and the file; members come in order."""

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
        with reported():
            self._file.write(member)


@contextmanager
def tar_stream(
    blob: BlobWriter, codec: Codec, *, compressors: Executor, look_ahead: int, buffers: Buffers
) -> Iterator[BlockStream]:
    """Blocking.  What is written to the stream ends up in the blob when the context ends."""
    blocks = _Blocks(blob, codec, compressors, look_ahead, buffers)
    try:
        stream = BlockStream(blocks.first(), blocks.deliver)
        yield stream
        stream.flush()
        blocks.drain()
    finally:
        blocks.release()


class _Blocks:
    """Compressed side by side, written in order."""

    def __init__(
        self,
        blob: BlobWriter,
        codec: Codec,
        compressors: Executor,
        look_ahead: int,
        buffers: Buffers,
    ) -> None:
        self._blob = blob
        self._codec = codec
        self._compressors = compressors
        self._look_ahead = look_ahead
        self._buffers = buffers
        self._pending: deque[tuple[Future[bytes], bytearray]] = deque()
        self._filling: bytearray | None = None

    def first(self) -> bytearray:
        self._filling = self._buffers.take()
        return self._filling

    def deliver(self, buffer: bytearray, filled: int) -> bytearray:
        block = memoryview(buffer)[:filled]
        self._blob.add_tar(block)
        if filled < BLOCK_SIZE and not self._pending:
            # Most store paths are one short block: its thread compresses it itself.
            self._blob.add_member(self._codec.compress(block))
            return buffer
        self._pending.append((self._compressors.submit(self._codec.compress, block), buffer))
        self._filling = None
        while self._pending and (
            len(self._pending) > self._look_ahead or self._pending[0][0].done()
        ):
            self._write_first()
        while self._filling is None:
            if self._pending:
                self._filling = self._buffers.try_take()
                if self._filling is None:
                    self._write_first()
            else:
                self._filling = self._buffers.take()
        return self._filling

    def drain(self) -> None:
        while self._pending:
            self._write_first()

    def release(self) -> None:
        """Give back every buffer; after a failure, when no thread reads it any more."""
        while self._pending:
            compressed, buffer = self._pending.popleft()
            wait((compressed,))
            self._buffers.give_back(buffer)
        if self._filling is not None:
            self._buffers.give_back(self._filling)
            self._filling = None

    def _write_first(self) -> None:
        compressed, buffer = self._pending[0]
        self._blob.add_member(compressed.result())
        self._pending.popleft()
        self._buffers.give_back(buffer)
