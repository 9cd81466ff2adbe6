"""Make a layer of several store paths from their blobs: copied, not compressed again.

The members are inflated on the way, since digests do not compose: the diff ID needs the tar.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import BinaryIO

from app.builder.images.packing.blob import BlobWriter
from app.builder.images.packing.blocks import Buffers
from app.builder.images.packing.codec import Codec
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

    def take(member: bytes, tar: bytes) -> None:
        blob.add_tar(tar)
        blob.add_member(member)

    try:
        for file, length, size in _members(parts, codec.block_size):
            check()
            buffers.reserve(inflated.advance)
            try:
                member = _read(file, length)
                work = partial(_inflate, codec, member, size)
                inflated.add(work, partial(take, member), buffers.release)
            except BaseException:
                buffers.release()
                raise
            del member, work  # the piece keeps them as long as they are needed
        inflated.finish()
    except ValueError as error:
        raise PartUnusable(
            f"a stored layer is damaged ({error}): try again, or let the operator delete paths/"
        ) from error
    except ObjectNotFound as error:
        raise PartUnusable("a stored layer has just been deleted: try again") from error
    finally:
        inflated.wait()


def _inflate(codec: Codec, member: bytes, size: int) -> bytes:
    tar = codec.decompress(member, size)
    if len(tar) != size:
        raise ValueError(f"a member unpacks to {len(tar)} bytes instead of {size}")
    return tar


def _members(
    parts: Iterable[tuple[BinaryIO, PackedPath]], block_size: int
) -> Iterator[tuple[BinaryIO, int, int]]:
    """Yield for each member its file, positioned at it, its length and its unpacked size."""
    for file, packed in parts:
        file.seek(packed.prefix)
        left = packed.tar_size
        for length in packed.members:
            size = min(left, block_size)
            yield file, length, size
            left -= size


def _read(file: BinaryIO, length: int) -> bytes:
    member = file.read(length)
    if len(member) != length:
        raise ValueError("a blob is too short")
    return member
