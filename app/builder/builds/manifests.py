"""Stored manifests, with a cache of those written or requested last."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from app.errors import ManifestUnknown
from app.oci import Descriptor, Digest, MediaType
from app.storage.blobs import BlobStore
from app.system.cache import Cache


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stored manifest or index.

    ``media_type`` is the document's own ``mediaType``; ``body`` the bytes the digest covers.
    """

    digest: Digest
    media_type: str
    body: bytes


class ManifestLost(ManifestUnknown):
    """The manifest is not stored, or is damaged."""


class Manifests:
    """Manifests by digest; ``budget`` bounds the cached ones, in bytes.

    ``lost`` is called with the digest of a missing or damaged manifest; a pull by tag rebuilds it.
    """

    def __init__(self, *, blobs: BlobStore, budget: int, lost: Callable[[Digest], None]) -> None:
        self.blobs = blobs
        self.lost = lost
        self._cache: Cache[Digest, Manifest] = Cache(budget, size_of=lambda one: len(one.body))

    async def write(self, media_type: MediaType, body: bytes) -> Descriptor:
        """Store a manifest or index of this type; the client that waits for it then reads memory."""
        digest = await self.blobs.write_manifest(body)
        self._cache[digest] = Manifest(digest, media_type.value, body)
        return Descriptor(media_type, digest, len(body))

    async def read(self, digest: Digest) -> Manifest:
        """Return a manifest.  Raises ManifestLost, also for stored bytes with another digest."""
        if manifest := self._cache.get(digest):
            return manifest
        try:
            manifest = _parse(digest, await self.blobs.read_manifest(digest))
        except ManifestUnknown as error:
            self.lost(digest)
            raise ManifestLost(error.message) from None
        self._cache[digest] = manifest
        return manifest


def _parse(digest: Digest, body: bytes) -> Manifest:
    if Digest.of(body) != digest:
        logger.error("the stored manifest {} is damaged", digest)
        raise ManifestUnknown(f"the stored manifest {digest} is damaged; pull by tag to rebuild it")
    return Manifest(digest, str(json.loads(body)["mediaType"]), body)
