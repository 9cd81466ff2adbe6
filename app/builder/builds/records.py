"""Images and indexes built before, by their keys."""

from collections.abc import Iterable
from itertools import chain
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from app.builder.images.image import BuiltImage, BuiltIndex
from app.oci import Descriptor, Digest
from app.storage import keys
from app.storage.base import Storage
from app.storage.existence_cache import BlobExistenceCache
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.cache import Cache

_CACHED = 2_000


class Stored(Protocol):
    """The result of a build: stored manifests or indexes, and blobs."""

    @property
    def manifests(self) -> tuple[Descriptor, ...]: ...

    @property
    def blobs(self) -> frozenset[Descriptor]: ...


T = TypeVar("T", bound=Stored)


def _references(stored: Stored) -> tuple[Digest, ...]:
    return (*_digests(stored), *(blob.digest for blob in stored.blobs))


BUILDS = Kind(name="builds", format=1, adapter=TypeAdapter(BuiltImage), references=_references)
INDEXES = Kind(name="indexes", format=1, adapter=TypeAdapter(BuiltIndex), references=_references)


class BuildRecords(Generic[T]):
    """Records of builds, each valid only while all blobs and manifests that it names are stored."""

    def __init__(self, *, storage: Storage, existence: BlobExistenceCache, kind: Kind[T]) -> None:
        self._storage = storage
        self._existence = existence
        self._records = Records(storage=storage, kind=kind)
        self._cache: Cache[Digest, T] = Cache(_CACHED)

    async def read(self, key: Digest) -> T | None:
        built = self._cache.get(key)
        if built is None:
            built = await self._records.read(key)
            if built is None or not await self._has_manifests(built):
                return None
        if not await self._existence.has_all(chain(built.manifests, built.blobs)):
            self._cache.pop(key)
            return None
        self._cache[key] = built
        return built

    async def recorded(self, key: Digest) -> T | None:
        """Return the stored record, although objects that it names may be missing."""
        return await self._records.read(key)

    async def write(self, key: Digest, built: T, documents: Iterable[Descriptor] = ()) -> None:
        """Write a record.  ``documents``, which the caller has just stored, are not looked up."""
        await self._records.write(key, built)
        for document in documents:
            self._existence.note(document)
        await self._note(key, built)

    async def settle(self, key: Digest, built: T) -> T:
        """Write the build unless another server has written one; return the stored build."""
        settled = await self._records.create(key, built)
        await self._note(key, settled)
        return settled

    def lost_document(self, digest: Digest) -> None:
        """Drop the cached builds that have this missing or damaged manifest or index."""
        self._existence.invalidate(digest)
        for key in self._cache:
            built = self._cache.get(key)
            if built is not None and digest in _digests(built):
                self._cache.pop(key)

    async def _note(self, key: Digest, built: T) -> None:
        """Cache the build and the existence of its objects: the next request reads no storage."""
        self._cache[key] = built
        await self._existence.has_all(chain(built.manifests, built.blobs))

    async def _has_manifests(self, built: T) -> bool:
        """Return whether all manifests are stored and undamaged."""
        digests = _digests(built)
        bodies = await self._storage.read_each([keys.manifest(digest) for digest in digests])
        return tuple(None if body is None else Digest.of(body) for body in bodies) == digests


def _digests(stored: Stored) -> tuple[Digest, ...]:
    return tuple(document.digest for document in stored.manifests)
