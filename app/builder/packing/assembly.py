"""A layer of several store paths, from their blobs: copied, not compressed again.

The members are inflated on the way, since digests do not compose: the diff ID needs the tar.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import BinaryIO

from app.builder.packing.blob import BlobWriter
from app.builder.packing.codec import Codec
from app.builder.packing.inorder import InOrder
from app.builder.packing.record import PackedPath
from app.errors import StorageUnavailable
from app.storage.base import ObjectNotFound


class PartUnusable(StorageUnavailable):
    """The blob of one of the parts is gone, or is not what its record says."""


def assemble(
    blob: BlobWriter,
    parts: Iterable[tuple[BinaryIO, PackedPath]],
    codec: Codec,
    *,
    threads: Executor,
    limit: int,
) -> None:
    """Blocking.  Raises PartUnusable."""
    inflated = InOrder(threads, limit=limit)

    def take(member: bytes, tar: bytes) -> None:
        blob.add_tar(tar)
        blob.add_member(member)

    try:
        for member, size in _members(parts, codec.block_size):
            inflated.add(partial(_inflate, codec, member, size), partial(take, member), _nothing)
        inflated.finish()
    except ValueError as error:
        raise PartUnusable(
            f"a stored layer is damaged ({error}): ask again, or let the operator delete paths/"
        ) from error
    except ObjectNotFound as error:
        raise PartUnusable("a stored layer has just been deleted: ask again") from error
    finally:
        inflated.wait()


def _nothing() -> None:
    pass


def _inflate(codec: Codec, member: bytes, size: int) -> bytes:
    tar = codec.decompress(member, size)
    if len(tar) != size:
        raise ValueError(f"a member unpacks to {len(tar)} bytes instead of {size}")
    return tar


def _members(
    parts: Iterable[tuple[BinaryIO, PackedPath]], block_size: int
) -> Iterator[tuple[bytes, int]]:
    """Each member with the size it unpacks to; raises ValueError for a blob that is too short."""
    for file, packed in parts:
        file.seek(packed.prefix)
        left = packed.tar_size
        for length in packed.members:
            member = file.read(length)
            if len(member) != length:
                raise ValueError(f"{packed.layer.descriptor.digest} is too short")
            size = min(left, block_size)
            yield member, size
            left -= size
