"""Images without Nix: real manifests, configs and layers of a few bytes, in real storage."""

import asyncio
import gzip
import json
from dataclasses import dataclass, field

from app.builder.builds.contents_record import ImagePackages
from app.builder.builds.preview import (
    ImagePreview,
    Place,
    PreviewedImage,
    PreviewedLayer,
    PreviewedPackage,
    PreviewedPath,
)
from app.builder.builds.recent import RecentImages
from app.builder.images.contents.index import index_documents
from app.builder.images.image import Built, BuiltImage, BuiltIndex, Child
from app.builder.jobs.failures import FailureLifetimes
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.phases import Phase
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.closure import StorePath
from app.errors import NameUnknown, PackagesUnknown, RegistryError, TagUnknown
from app.oci import Descriptor, Digest, MediaType, canonical_json
from app.reference import ImageReference, RepositoryName
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage

_DOCKER = {
    MediaType.OCI_MANIFEST: MediaType.DOCKER_MANIFEST,
    MediaType.OCI_CONFIG: MediaType.DOCKER_CONFIG,
    MediaType.OCI_LAYER_GZIP: MediaType.DOCKER_LAYER_GZIP,
}
PACKAGES = frozenset({"shell", "git", "htop", "hello", "manifests", "blobs", "tags", "a"})
TAGS = ("latest", "nixos-25.05", "v1.0")


def _recent_images() -> RecentImages:
    return RecentImages(storage=MemoryStorage(), sources=())


def _preview_jobs() -> Jobs[ImagePreview]:
    failures = FailureLifetimes(transient=5, failed=60, unknown=600)
    return Jobs(failures=failures, result_seconds=0, remember=10, history=0)


@dataclass
class TinyImages:
    """Knows a handful of packages and counts how often it was made to build.

    Its source has TAGS, and the names of its packages are in memory.
    A package in ``slow`` is built once its event is set, one in ``seconds`` after so many;
    one in ``broken`` raises its error.  With ``architectures`` a name without one has an index;
    ``versions`` are those of the packages, by tag; without one, an image has no labels.
    ``begun_with`` are the architectures that clients were known to have.
    """

    blobs: BlobStore
    existence: BlobExistenceCache
    jobs: Jobs[Built]
    evaluation: WorkQueue
    slow: dict[str, asyncio.Event] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    broken: dict[str, RegistryError | OSError] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    docker: bool = True
    architectures: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    begun_with: list[str] = field(default_factory=list)
    builds: list[str] = field(default_factory=list)
    pulled: list[ImageReference] = field(default_factory=list)
    previewed: list[ImageReference] = field(default_factory=list)
    packages_of: dict[str, ImagePackages] = field(default_factory=dict)
    recent: RecentImages = field(default_factory=_recent_images)
    previews: Jobs[ImagePreview] = field(default_factory=_preview_jobs)

    def pull(self, reference: ImageReference, client: str, architecture: str = "") -> Job[Built]:
        name, tag = reference.name, str(reference.reference)
        packages = tuple(sorted(set(name.components)))
        self.begun_with.append(architecture)

        async def start(progress: Progress) -> Built:
            image = await self._build(packages, tag, progress)
            self.pulled.append(reference)
            self.recent.add(reference, image, {Phase.EVALUATE: 1.0, Phase.PACK: 2.0})
            return image

        return self.jobs.join(
            f"{'/'.join(packages)}:{tag}", start, title=f"{name}:{tag}", client=client
        )

    async def built(self, reference: ImageReference) -> Built | None:
        packages = tuple(sorted(set(reference.name.components)))
        return self.jobs.remembered_result(f"{'/'.join(packages)}:{reference.reference}")

    def forget(self) -> None:
        """Leave what is on storage only, as after a restart."""
        failures = FailureLifetimes(transient=5, failed=60, unknown=600)
        self.jobs = Jobs(failures=failures, result_seconds=0, remember=10, history=10)

    def preview(self, reference: ImageReference, client: str) -> Job[ImagePreview]:
        name, tag = reference.name, str(reference.reference)

        async def find(progress: Progress) -> ImagePreview:
            async with self.evaluation.slot(progress):
                self.previewed.append(reference)
                for package in name.components:
                    await asyncio.sleep(self.seconds.get(package, 0))
                unknown = tuple(p for p in name.components if p not in self._known)
                if unknown:
                    raise PackagesUnknown(unknown, ("hello",))
                return _preview(name.components, self.versions.get(tag, "1"))

        return self.previews.join(f"{name}:{tag}", find, title=f"{name}:{tag}", client=client)

    async def packages(self, manifest: Digest) -> ImagePackages:
        return self.packages_of.get(str(manifest), ImagePackages((), None))

    async def tags(self, name: RepositoryName, *, after: str, most: int) -> tuple[str, ...]:
        return tuple(tag for tag in self._tags(name) if tag > after)[:most]

    def _tags(self, name: RepositoryName) -> tuple[str, ...]:
        built = {str(image.reference) for image in self.pulled if image.name == name}
        unknown = tuple(sorted(set(name.components) - self._known))
        if not unknown:
            return tuple(sorted({*TAGS, *built}))
        if not built:
            raise NameUnknown(PackagesUnknown(unknown, ("hello",)).message)
        return tuple(sorted(built))

    async def repositories(self) -> tuple[str, ...]:
        return tuple(sorted({str(image.name) for image in self.pulled}))

    @property
    def _known(self) -> frozenset[str]:
        return PACKAGES | self.slow.keys() | self.seconds.keys()

    async def _build(self, packages: tuple[str, ...], tag: str, progress: Progress) -> Built:
        async with self.evaluation.slot(progress):
            self.builds.append(f"{'/'.join(packages)}:{tag}")
            if tag not in TAGS:
                raise TagUnknown(f"no such tag: {tag}; there are {', '.join(TAGS)}")
            for package in packages:
                if package in self.broken:
                    raise self.broken[package]
                if package in self.slow:
                    progress.enter(f"realising {package}")
                    await self.slow[package].wait()
                await asyncio.sleep(self.seconds.get(package, 0))
            named = {*packages} & {*self.architectures}
            unknown = tuple(p for p in packages if p not in self._known | named)
            if unknown:
                raise PackagesUnknown(unknown, ("hello",))
            if not self.architectures or named:
                return await self._store(
                    packages, next(iter(named), "amd64"), self.versions.get(tag, "")
                )
            return await self._store_index(packages)

    async def _store_index(self, packages: tuple[str, ...]) -> BuiltIndex:
        children = [Child(name, await self._store(packages, name)) for name in self.architectures]
        documents = index_documents(children)
        index, docker_list = documents.index, documents.docker_list
        return BuiltIndex(
            index=await self._document(MediaType.OCI_INDEX, index),
            docker_list=None
            if docker_list is None
            else await self._document(MediaType.DOCKER_LIST, docker_list),
            children=tuple(children),
            warnings=self.warnings,
        )

    async def _document(self, media_type: MediaType, body: bytes) -> Descriptor:
        return Descriptor(media_type, await self.blobs.write_manifest(body), len(body))

    async def _store(
        self, packages: tuple[str, ...], architecture: str = "amd64", version: str = ""
    ) -> BuiltImage:
        tar = "\n".join((*packages, version) if version else packages).encode()
        described = {
            "config": {"Labels": {"nixery.packages": " ".join(f"{p}-{version}" for p in packages)}},
            "history": [{"created_by": f"nix: {', '.join(packages)}"}],
        }
        layer = gzip.compress(tar, mtime=0)
        config = canonical_json(
            {
                "architecture": architecture,
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(tar))]},
                **(described if version else {}),
            }
        )
        blobs = [
            Descriptor(kind, await self.blobs.write_blob(body), len(body))
            for kind, body in ((MediaType.OCI_LAYER_GZIP, layer), (MediaType.OCI_CONFIG, config))
        ]
        for blob in blobs:
            self.existence.note(blob)
        oci = _manifest(config, layer, docker=False)
        docker = _manifest(config, layer, docker=True)
        return BuiltImage(
            manifest=await self._document(MediaType.OCI_MANIFEST, oci),
            docker_manifest=await self._document(MediaType.DOCKER_MANIFEST, docker)
            if self.docker
            else None,
            blobs=frozenset(blobs),
            warnings=self.warnings,
        )


def _preview(packages: tuple[str, ...], version: str) -> ImagePreview:
    """The last package has to be built, and the others come from a cache and the Nix store."""
    places = (Place.STORE, Place.CACHE, Place.PACKED)
    paths = tuple(
        PreviewedPath(
            path=StorePath(f"{number:032d}-{name}"),
            place=Place.BUILD if name == "htop" else places[number % 3],
            nar_size=None if name == "htop" else 1000 + number,
            size=500 if number % 3 == 2 else None,
            cache="https://cache.example" if number % 3 == 1 else "",
            download_size=300 if number % 3 == 1 else None,
        )
        for number, name in enumerate(packages)
    )
    builds = tuple(
        StorePath(f"{path.path.base}.drv") for path in paths if path.place is Place.BUILD
    )
    layer = PreviewedLayer(tuple(path.path for path in paths), 1000, None, is_stored=False)
    image = PreviewedImage(
        architecture="amd64",
        digest=None,
        is_complete=not builds,
        packages=tuple(
            PreviewedPackage(path.path.name, version, path.path, path.place) for path in paths
        ),
        paths=paths,
        builds=builds,
        layers=() if builds else (layer,),
    )
    return ImagePreview("tiny", "1" * 40, None, (image,))


def _manifest(config: bytes, layer: bytes, *, docker: bool) -> bytes:
    def media_type(oci: MediaType) -> str:
        return _DOCKER[oci] if docker else oci

    def descriptor(oci: MediaType, body: bytes) -> dict[str, object]:
        return {"mediaType": media_type(oci), "digest": str(Digest.of(body)), "size": len(body)}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_type(MediaType.OCI_MANIFEST),
            "config": descriptor(MediaType.OCI_CONFIG, config),
            "layers": [descriptor(MediaType.OCI_LAYER_GZIP, layer)],
        }
    ).encode()
