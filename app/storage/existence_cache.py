"""Which blobs and manifests are known to be in storage, so that an image of known layers asks nothing.

What was seen is trusted for a while.  Whoever removes blobs leaves alone what was used
within the last hour; whoever finds one missing says so with ``forget``.  How many bytes one
has is known for longer than it is trusted to have them.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from loguru import logger

from app.oci import Descriptor, Digest, MediaType
from app.storage import keys
from app.storage.base import Storage
from app.system.cache import Cache

_TRUSTED_SECONDS = 300.0
_LIMIT = 100_000
_MANIFESTS = {MediaType.OCI_MANIFEST, MediaType.DOCKER_MANIFEST}


@dataclass(frozen=True, slots=True)
class _Seen:
    """``size`` is what the digest covers; ``at`` is monotonic, and long ago for what is missed."""

    size: int
    at: float


class BlobExistenceCache:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._seen: Cache[Digest, _Seen] = Cache(_LIMIT)
        self._missing: Cache[Digest, None] = Cache(_LIMIT)

    async def holds(self, blob: Descriptor) -> bool:
        """One of another size is damaged, which is as good as gone: storage replaces it."""
        return await self.holds_all((blob,))

    async def holds_all(self, blobs: Iterable[Descriptor]) -> bool:
        """Whether all are in storage, as far as was seen within some minutes."""
        unseen = [blob for blob in blobs if not self._is_seen(blob.digest)]
        if not unseen:
            return True
        sizes = await self._storage.sizes([_key(blob) for blob in unseen])
        held = [self._judge(blob, size) for blob, size in zip(unseen, sizes, strict=True)]
        return all(held)

    def _judge(self, blob: Descriptor, size: int | None) -> bool:
        if size is None:
            self._note_missing(blob.digest)
            self.forget(blob.digest)
            return False
        if size != blob.size:
            self._keep(blob, at=-math.inf)
            logger.warning(
                "the stored object {} has {} bytes instead of {}: it is made again",
                blob.digest,
                size,
                blob.size,
            )
            return False
        self.note(blob)
        return True

    def _note_missing(self, digest: Digest) -> None:
        """Log it once until it is stored again."""
        if digest not in self._missing:
            self._missing[digest] = None
            logger.warning("the stored object {} is missing: it is made again", digest)

    def note(self, blob: Descriptor) -> None:
        self._missing.pop(blob.digest)
        self._keep(blob, at=time.monotonic())

    def forget(self, digest: Digest) -> None:
        """Who was sent for it found it missing, or damaged: look before images of it are served."""
        if seen := self._seen.get(digest):
            self._seen[digest] = _Seen(seen.size, -math.inf)

    def size(self, digest: Digest) -> int | None:
        """What the blob has to have, in bytes; None where nobody said so lately."""
        seen = self._seen.get(digest)
        return None if seen is None else seen.size

    def _keep(self, blob: Descriptor, *, at: float) -> None:
        self._seen[blob.digest] = _Seen(blob.size, at)

    def _is_seen(self, digest: Digest) -> bool:
        seen = self._seen.get(digest)
        return seen is not None and time.monotonic() - seen.at < _TRUSTED_SECONDS


def _key(described: Descriptor) -> str:
    if described.media_type in _MANIFESTS:
        return keys.manifest(described.digest)
    return keys.blob(described.digest)
