"""Images built before, by what they were built from."""

from pydantic import TypeAdapter

from app.builder.images.image import BuiltImage
from app.oci import Digest
from app.storage import keys
from app.storage.base import ObjectNotFound, Storage
from app.storage.existence_cache import BlobExistenceCache
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.cache import Cache
from app.system.concurrency import gather

_KEPT = 2_000


def _references(image: BuiltImage) -> tuple[Digest, ...]:
    return (*_manifests(image), *(blob.digest for blob in image.blobs))


BUILDS = Kind(name="builds", format=1, adapter=TypeAdapter(BuiltImage), references=_references)


class BuildRecords:
    """A build is remembered only as long as everything it names is still in storage."""

    def __init__(self, *, storage: Storage, existence: BlobExistenceCache) -> None:
        self._storage = storage
        self._existence = existence
        self._records = Records(storage=storage, kind=BUILDS)
        self._kept: Cache[Digest, BuiltImage] = Cache(_KEPT)

    async def read(self, key: Digest) -> BuiltImage | None:
        image = self._kept.get(key)
        if image is None:
            image = await self._records.read(key)
            if image is None or not await self._has_manifests(image):
                return None
        if not await self._existence.has_all((*image.manifests, *image.blobs)):
            self._kept.pop(key)
            return None
        self._kept[key] = image
        return image

    async def write(self, key: Digest, image: BuiltImage) -> None:
        await self._records.write(key, image)
        self._kept[key] = image

    def lost_manifest(self, digest: Digest) -> None:
        """Make the images of a manifest again that is missing or damaged."""
        self._existence.invalidate(digest)
        for key in self._kept:
            image = self._kept.get(key)
            if image is not None and digest in _manifests(image):
                self._kept.pop(key)

    async def _has_manifests(self, image: BuiltImage) -> bool:
        """Whole: a damaged one is made again as if it were not there."""
        try:
            bodies = await gather(
                self._storage.read(keys.manifest(digest)) for digest in _manifests(image)
            )
        except ObjectNotFound:
            return False
        return tuple(map(Digest.of, bodies)) == _manifests(image)


def _manifests(image: BuiltImage) -> tuple[Digest, ...]:
    return tuple(described.digest for described in image.manifests)
