"""Which blobs and manifests are stored, cached so that images are served without queries.

A blob that was seen is trusted for some minutes.  One that turns out to be missing or damaged
ends the trust in all others: whatever removed it may have removed more.  The size of a blob is
known for longer than the blob is trusted to be there.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from loguru import logger

from app.oci import Descriptor, Digest, MediaType
from app.storage import keys
from app.storage.base import Storage
from app.system.cache import Cache

_TRUSTED_SECONDS = 300.0
_LIMIT = 100_000
_MANIFESTS = {
    MediaType.OCI_INDEX,
    MediaType.OCI_MANIFEST,
    MediaType.DOCKER_LIST,
    MediaType.DOCKER_MANIFEST,
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """When a blob was last found.

    ``size`` is what the digest covers, in bytes.  ``at`` is monotonic, and -inf once the blob was
    missing.  The entry is trusted in its ``epoch`` only, which ends when any blob is found missing.
    """

    size: int
    at: float
    epoch: int


class Trust(NamedTuple):
    """The trust in several blobs, in one epoch, ``until`` a monotonic time."""

    epoch: int
    until: float


class BlobExistenceCache:
    """Caches that blobs exist, for some minutes; may be invalidated at any time."""

    def __init__(self, storage: Storage, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._seen: Cache[Digest, _Seen] = Cache(_LIMIT)
        self._missing: Cache[Digest, None] = Cache(_LIMIT)
        self._epoch = 0

    async def has(self, blob: Descriptor) -> bool:
        """Return whether the blob is stored with its size."""
        return await self.has_all((blob,))

    async def has_all(self, blobs: Iterable[Descriptor]) -> bool:
        """Return whether all blobs are stored, each with its size; cached for some minutes."""
        unseen = [blob for blob in blobs if not self._is_trusted(blob.digest)]
        if not unseen:
            return True
        # Another blob may be found missing while these are checked.
        epoch = self._epoch
        sizes = await self._storage.sizes([_key(blob) for blob in unseen])
        for blob, size in zip(unseen, sizes, strict=True):
            if size == blob.size:
                self._note(blob, epoch)
            else:
                self._note_missing(blob, size)
        return all(size == blob.size for blob, size in zip(unseen, sizes, strict=True))

    def trust(self, blobs: Iterable[Descriptor]) -> Trust | None:
        """Return how long all these count as stored without a check; None if one needs it now."""
        seen = [self._seen.get(blob.digest) for blob in blobs]
        times = [one.at for one in seen if one is not None and one.epoch == self._epoch]
        if len(times) < len(seen) or not times:
            return None
        trust = Trust(self._epoch, min(times) + _TRUSTED_SECONDS)
        return trust if self.is_current(trust) else None

    def is_current(self, trust: Trust) -> bool:
        """Return whether the trust is valid: not expired, and no blob was found missing since."""
        return trust.epoch == self._epoch and self._clock() < trust.until

    def note(self, blob: Descriptor) -> None:
        """Note a blob that has just been stored."""
        self._note(blob, self._epoch)

    def invalidate(self, digest: Digest) -> None:
        """Check a blob that was missing or damaged, and all others, before they count again."""
        seen = self._seen.get(digest)
        if seen is not None:
            if self._is_trusted(digest):
                self._epoch += 1
            self._seen[digest] = _Seen(seen.size, -math.inf, self._epoch)

    def size(self, digest: Digest) -> int | None:
        """Return how many bytes the blob must have; None if that is not known."""
        seen = self._seen.get(digest)
        return None if seen is None else seen.size

    def _note(self, blob: Descriptor, epoch: int) -> None:
        self._missing.pop(blob.digest)
        self._seen[blob.digest] = _Seen(blob.size, self._clock(), epoch)

    def _note_missing(self, blob: Descriptor, size: int | None) -> None:
        """Log it, and distrust all others, once until it is stored again."""
        if size is None:
            self.invalidate(blob.digest)
        else:
            self._seen[blob.digest] = _Seen(blob.size, -math.inf, self._epoch)
        if blob.digest in self._missing:
            return
        self._missing[blob.digest] = None
        self._epoch += 1
        if size is None:
            logger.warning("the stored object {} is missing: it is made again", blob.digest)
        else:
            logger.warning(
                "the stored object {} has {} bytes instead of {}: it is made again",
                blob.digest,
                size,
                blob.size,
            )

    def _is_trusted(self, digest: Digest) -> bool:
        seen = self._seen.get(digest)
        return (
            seen is not None
            and seen.epoch == self._epoch
            and self._clock() - seen.at < _TRUSTED_SECONDS
        )


def _key(described: Descriptor) -> str:
    if described.media_type in _MANIFESTS:
        return keys.manifest(described.digest)
    return keys.blob(described.digest)
