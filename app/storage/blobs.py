"""Content-addressed objects: digests in place of keys, the specification's errors."""

from typing import BinaryIO

from app.errors import BlobUnknown, ManifestUnknown
from app.oci import Digest
from app.storage import keys
from app.storage.base import Location, ObjectNotFound, Storage
from app.system.blocking import blocking
from app.telemetry.lookups import count_stored


class BlobStore:
    """Blobs and manifests by digest.

    Only sha256 is stored: a digest of another algorithm is valid and unknown.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def locate(self, digest: Digest) -> Location:
        """Raise BlobUnknown if the blob is not stored, or not with the bytes of its digest."""
        try:
            if digest.algorithm == "sha256":
                return await self._storage.locate(keys.blob(digest))
        except ObjectNotFound:
            pass
        raise _unknown(digest)

    @blocking
    def open(self, digest: Digest) -> BinaryIO:
        """Return a checked blob as a seekable stream.  Raise BlobUnknown."""
        try:
            return self._storage.open(keys.blob(digest))
        except ObjectNotFound:
            raise _unknown(digest) from None

    async def read(self, digest: Digest) -> bytes:
        """Return a small blob, such as a config.

        Raise BlobUnknown if it is not stored, or not with the bytes of its digest.
        """
        try:
            if digest.algorithm == "sha256":
                body = await self._storage.read(keys.blob(digest))
                if Digest.of(body) == digest:
                    return body
        except ObjectNotFound:
            pass
        raise _unknown(digest)

    async def read_manifest(self, digest: Digest) -> bytes:
        """Raise ManifestUnknown if the manifest is not stored."""
        try:
            if digest.algorithm == "sha256":
                return await self._storage.read(keys.manifest(digest))
        except ObjectNotFound:
            pass
        raise ManifestUnknown(f"the manifest {digest} is not stored here; pull by tag to build it")

    async def write_blob(self, body: bytes) -> Digest:
        digest = Digest.of(body)
        await self._write(keys.blob(digest), body)
        return digest

    async def write_manifest(self, body: bytes) -> Digest:
        digest = Digest.of(body)
        await self._write(keys.manifest(digest), body)
        return digest

    async def _write(self, key: str, body: bytes) -> None:
        if await self._storage.create(key, body) != body:
            # The stored object is damaged: its key is the digest of other bytes.
            await self._storage.write(key, body)
        count_stored("documents", len(body))


def _unknown(digest: Digest) -> BlobUnknown:
    return BlobUnknown(f"the blob {digest} is not stored here; pull by tag to have it made")
