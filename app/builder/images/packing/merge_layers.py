"""Make a layer of several store paths from their blobs: copied, not compressed again.

The blocks are decompressed on the way, since digests do not compose: the diff ID needs the tar.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import BinaryIO

from app.builder.images.packing.blob import BlobWriter, Compressed
from app.builder.images.packing.blocks import Buffers
from app.builder.images.packing.codec import Codec
from app.builder.images.packing.crc32 import crc32
from app.builder.images.packing.inorder import InOrder
from app.builder.images.packing.record import PackedPath
from app.errors import StorageUnavailable
from app.storage.base import ObjectNotFound
from app.system.blocking import blocking
from app.system.threads import check


class PartUnusable(StorageUnavailable):
    """The blob of one of the parts is missing, or does not match its record."""


@blocking
def merge_layers(
    blob: BlobWriter,
    parts: Iterable[tuple[BinaryIO, PackedPath]],
    *,
    threads: Executor,
    limit: int,
    buffers: Buffers,
) -> None:
    """Write a layer of the parts in their order.

    ``blob`` has one codec, that of the parts.  Raises PartUnusable.
    """
    [codec] = blob.codecs
    inflated = InOrder(threads, limit=limit)

    def take(compressed: Compressed, tar: bytes) -> None:
        blob.add_tar(tar)
        blob.add_block(compressed)

    try:
        for file, length, size, crc in _blocks(parts, codec.block_size):
            check()
            buffers.reserve(inflated.advance)
            try:
                compressed = Compressed(_read(file, length), size, crc)
                work = partial(_decompress, codec, compressed)
                inflated.add(work, partial(take, compressed), buffers.release)
            except BaseException:
                buffers.release()
                raise
            del compressed, work  # the piece keeps them as long as they are needed
        inflated.finish()
    except ValueError as error:
        raise PartUnusable(
            f"a stored layer is damaged ({error}): try again, or let the operator delete paths/"
        ) from error
    except ObjectNotFound as error:
        raise PartUnusable("a stored layer has just been deleted: try again") from error
    finally:
        inflated.wait()


def _decompress(codec: Codec, block: Compressed) -> bytes:
    tar = codec.decompress(block.data, block.size)
    if len(tar) != block.size or crc32(tar) != block.check:
        raise ValueError("a block unpacks to other bytes")
    return tar


def _blocks(
    parts: Iterable[tuple[BinaryIO, PackedPath]], block_size: int
) -> Iterator[tuple[BinaryIO, int, int, int]]:
    """Yield for each block its file, positioned at it, its length, unpacked size and CRC-32."""
    for file, packed in parts:
        file.seek(packed.prefix)
        left = packed.tar_size
        for length, crc in zip(packed.blocks, packed.checks, strict=True):
            size = min(left, block_size)
            yield file, length, size, crc
            left -= size


def _read(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise ValueError("a blob is too short")
    return data
