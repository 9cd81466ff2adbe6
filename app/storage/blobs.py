"""Content-addressed objects: digests instead of keys, the specification's errors."""

from typing import BinaryIO

from app.errors import BlobUnknown, ManifestUnknown
from app.oci import Digest
from app.storage import keys
from app.storage.base import Location, ObjectNotFound, Storage


class BlobStore:
    """Only sha256 is ever stored: a digest of another algorithm is valid and unknown."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def locate(self, digest: Digest) -> Location:
        """Raises BlobUnknown."""
        try:
            return await self._storage.locate(_blob(digest))
        except ObjectNotFound:
            raise _unknown(digest) from None

    async def size(self, digest: Digest) -> int:
        """In bytes; raises BlobUnknown."""
        try:
            return await self._storage.size(_blob(digest))
        except ObjectNotFound:
            raise _unknown(digest) from None

    async def contains(self, digest: Digest) -> bool:
        try:
            await self.size(digest)
        except BlobUnknown:
            return False
        return True

    async def read_manifest(self, digest: Digest) -> bytes:
        """Raises ManifestUnknown."""
        try:
            if digest.algorithm == "sha256":
                return await self._storage.read(keys.manifest(digest))
        except ObjectNotFound:
            pass
        raise ManifestUnknown(f"no manifest {digest} is stored here; pull by tag to build it")

    async def write_blob(self, body: bytes) -> Digest:
        digest = Digest.of(body)
        await self._write(keys.blob(digest), body)
        return digest

    async def write_manifest(self, body: bytes) -> Digest:
        digest = Digest.of(body)
        await self._write(keys.manifest(digest), body)
        return digest

    def spool(self) -> BinaryIO:
        """Blocking.  An empty file for ``adopt``, which vanishes when closed."""
        return self._storage.spool()

    async def adopt(self, digest: Digest, file: BinaryIO) -> None:
        """Store a spool file whose sha256 the caller has computed; closing it stays theirs."""
        await self._storage.adopt(keys.blob(digest), file)

    def open(self, digest: Digest) -> BinaryIO:
        """Blocking.  Raises BlobUnknown."""
        try:
            return self._storage.open(_blob(digest))
        except ObjectNotFound:
            raise _unknown(digest) from None

    async def _write(self, key: str, body: bytes) -> None:
        if await self._storage.create(key, body) != body:
            # Damage: the key is the digest of other bytes than it holds.
            await self._storage.write(key, body)


def _blob(digest: Digest) -> str:
    if digest.algorithm != "sha256":
        raise _unknown(digest)
    return keys.blob(digest)


def _unknown(digest: Digest) -> BlobUnknown:
    return BlobUnknown(f"no blob {digest} is stored here")
