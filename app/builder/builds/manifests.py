"""Manifests as stored, the latest ones asked for kept in memory."""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from app.errors import ManifestUnknown
from app.oci import Digest
from app.storage.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Manifest:
    """``media_type`` is the document's own ``mediaType``; ``body`` the bytes the digest covers."""

    digest: Digest
    media_type: str
    body: bytes


class ManifestLost(ManifestUnknown):
    """It is not stored, or damaged."""


class Manifests:
    """Content-addressed, so what is remembered is never stale; ``budget`` bounds it, in bytes.

    ``lost`` is called with the digest of a missing or damaged manifest; a pull by tag rebuilds it.
    """

    def __init__(self, *, blobs: BlobStore, budget: int, lost: Callable[[Digest], None]) -> None:
        self._blobs = blobs
        self._budget = budget
        self._lost = lost
        self._size = 0
        self._kept: OrderedDict[Digest, Manifest] = OrderedDict()

    async def read(self, digest: Digest) -> Manifest:
        """Raises ManifestLost, also for stored bytes that do not have the digest."""
        if manifest := self._kept.get(digest):
            self._kept.move_to_end(digest)
            return manifest
        try:
            manifest = _parse(digest, await self._blobs.read_manifest(digest))
        except ManifestUnknown as error:
            self._lost(digest)
            raise ManifestLost(error.message) from None
        self._keep(manifest)
        return manifest

    def _keep(self, manifest: Manifest) -> None:
        if manifest.digest not in self._kept:
            self._kept[manifest.digest] = manifest
            self._size += len(manifest.body)
        while self._size > self._budget:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped.body)


def _parse(digest: Digest, body: bytes) -> Manifest:
    if Digest.of(body) != digest:
        logger.error("the stored manifest {} is damaged", digest)
        raise ManifestUnknown(f"the stored manifest {digest} is damaged; pull by tag to rebuild it")
    return Manifest(digest, str(json.loads(body)["mediaType"]), body)
