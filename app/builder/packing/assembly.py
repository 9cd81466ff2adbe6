"""A layer of several store paths, from their blobs: copied, not compressed again.

The members are inflated on the way, since digests do not compose: the diff ID needs the tar.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import BinaryIO

from app.builder.packing.blob import BlobWriter
from app.builder.packing.blocks import BLOCK_SIZE
from app.builder.packing.codec import Codec
from app.builder.packing.record import PackedPath
from app.errors import StorageUnavailable

# Below this a thread takes longer to be told than to do it.
_SMALL = 256 << 10


def assemble(
    blob: BlobWriter,
    parts: Iterable[tuple[BinaryIO, PackedPath]],
    codec: Codec,
    *,
    inflaters: Executor,
    look_ahead: int,
) -> None:
    """Blocking.  Raises StorageUnavailable for a damaged blob."""
    pending: deque[Future[bytes]] = deque()
    try:
        for member, size in _members(parts):
            blob.add_member(member)
            if len(member) < _SMALL and not pending:
                blob.add_tar(_inflate(codec, member, size))
                continue
            pending.append(inflaters.submit(_inflate, codec, member, size))
            while len(pending) > look_ahead or (pending and pending[0].done()):
                blob.add_tar(pending.popleft().result())
        while pending:
            blob.add_tar(pending.popleft().result())
    except ValueError as error:
        raise StorageUnavailable(f"a stored layer is damaged: {error}") from error


def _inflate(codec: Codec, member: bytes, size: int) -> bytes:
    tar = codec.decompress(member, size)
    if len(tar) != size:
        raise ValueError(f"a member unpacks to {len(tar)} bytes instead of {size}")
    return tar


def _members(parts: Iterable[tuple[BinaryIO, PackedPath]]) -> Iterator[tuple[bytes, int]]:
    """Each member with the size it unpacks to; raises ValueError for a blob that is too short."""
    for file, packed in parts:
        file.seek(packed.prefix)
        left = packed.tar_size
        for length in packed.members:
            member = file.read(length)
            if len(member) != length:
                raise ValueError(f"{packed.layer.descriptor.digest} is too short")
            size = min(left, BLOCK_SIZE)
            yield member, size
            left -= size
