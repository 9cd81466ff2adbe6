"""Images built before, by what they were built from."""

from collections import OrderedDict

from app.builder.image import BuiltImage
from app.builder.packing.presence import Presence
from app.builder.records.records import Records
from app.builder.running.concurrency import gather
from app.oci import Descriptor, Digest, MediaType
from app.storage import keys
from app.storage.base import ObjectNotFound, Storage

_KEPT = 2_000


class Builds:
    """A build is remembered only as long as everything it names is still in storage."""

    def __init__(self, *, storage: Storage, presence: Presence) -> None:
        self._storage = storage
        self._presence = presence
        self._records = Records(storage=storage, kind="builds")
        self._kept: OrderedDict[Digest, BuiltImage] = OrderedDict()

    async def read(self, key: Digest) -> BuiltImage | None:
        image = self._kept.get(key)
        if image is None:
            image = await self._records.read(key, _parse)
            if image is None or not await self._has_manifests(image):
                return None
        if not await self._presence.holds_all(image.blobs):
            self._kept.pop(key, None)
            return None
        self._keep(key, image)
        return image

    async def write(self, key: Digest, image: BuiltImage) -> None:
        await self._records.write(key, _document(image))
        self._keep(key, image)

    def lost_manifest(self, digest: Digest) -> None:
        """A manifest is not there, or damaged: its images are made again."""
        lost = [key for key, image in self._kept.items() if digest in _manifests(image)]
        for key in lost:
            del self._kept[key]

    async def _has_manifests(self, image: BuiltImage) -> bool:
        """Whole: a damaged one is made again as if it were not there."""
        try:
            bodies = await gather(
                self._storage.read(keys.manifest(digest)) for digest in _manifests(image)
            )
        except ObjectNotFound:
            return False
        return tuple(map(Digest.of, bodies)) == _manifests(image)

    def _keep(self, key: Digest, image: BuiltImage) -> None:
        self._kept[key] = image
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def _manifests(image: BuiltImage) -> tuple[Digest, ...]:
    return tuple(m.digest for m in (image.manifest, image.docker_manifest) if m is not None)


def _document(image: BuiltImage) -> dict[str, object]:
    return {
        "manifest": _descriptor(image.manifest),
        "dockerManifest": image.docker_manifest and _descriptor(image.docker_manifest),
        "blobs": sorted(map(_descriptor, image.blobs), key=str),
        "warnings": list(image.warnings),
    }


def _descriptor(descriptor: Descriptor) -> list[object]:
    return [descriptor.media_type.value, str(descriptor.digest), descriptor.size]


def _parse(document: dict[str, object]) -> BuiltImage:
    match document:
        case {
            "manifest": manifest,
            "dockerManifest": docker,
            "blobs": [*blobs],
            "warnings": [*warnings],
        }:
            return BuiltImage(
                manifest=_parse_descriptor(manifest),
                docker_manifest=None if docker is None else _parse_descriptor(docker),
                blobs=frozenset(map(_parse_descriptor, blobs)),
                warnings=tuple(map(str, warnings)),
            )
        case _:
            raise TypeError("not a build")


def _parse_descriptor(row: object) -> Descriptor:
    match row:
        case [str(media_type), str(digest), int(size)]:
            return Descriptor(MediaType(media_type), Digest.parse(digest), size)
        case _:
            raise TypeError("not a descriptor")
