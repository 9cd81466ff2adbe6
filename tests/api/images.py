"""Images without Nix: real manifests, configs and layers of a few bytes, in real storage."""

import asyncio
import gzip
import json
from dataclasses import dataclass, field

from app.builder.images.image import BuiltImage
from app.builder.jobs.job import Job
from app.builder.jobs.jobs import Jobs
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.errors import NameUnknown, PackagesUnknown, RegistryError, TagUnknown
from app.oci import Descriptor, Digest, MediaType, canonical_json
from app.reference import ImageReference, RepositoryName
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache

_DOCKER = {
    MediaType.OCI_MANIFEST: MediaType.DOCKER_MANIFEST,
    MediaType.OCI_CONFIG: MediaType.DOCKER_CONFIG,
    MediaType.OCI_LAYER_GZIP: MediaType.DOCKER_LAYER_GZIP,
}
PACKAGES = frozenset({"shell", "git", "htop", "hello", "manifests", "blobs", "tags", "a"})
TAGS = ("latest", "nixos-25.05", "v1.0")


@dataclass
class TinyImages:
    """Knows a handful of packages and counts how often it was made to build.

    Its source has TAGS, and the names of its packages are in memory.
    A package in ``slow`` is built once its event is set, one in ``seconds`` after so many;
    one in ``broken`` raises its error.
    """

    blobs: BlobStore
    existence: BlobExistenceCache
    jobs: Jobs[BuiltImage]
    evaluation: WorkQueue
    slow: dict[str, asyncio.Event] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    broken: dict[str, RegistryError | OSError] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    docker: bool = True
    builds: list[str] = field(default_factory=list)
    built: list[ImageReference] = field(default_factory=list)

    def pull(self, reference: ImageReference, client: str) -> Job[BuiltImage]:
        name, tag = reference.name, str(reference.reference)
        packages = tuple(sorted(set(name.components)))

        async def start(progress: Progress) -> BuiltImage:
            image = await self._build(packages, tag, progress)
            self.built.append(reference)
            return image

        return self.jobs.join(
            f"{'/'.join(packages)}:{tag}", start, title=f"{name}:{tag}", client=client
        )

    async def tags(self, name: RepositoryName) -> tuple[str, ...]:
        built = {str(image.reference) for image in self.built if image.name == name}
        unknown = tuple(sorted(set(name.components) - self._known))
        if not unknown:
            return tuple(sorted({*TAGS, *built}))
        if not built:
            raise NameUnknown(PackagesUnknown(unknown, ("hello",)).message)
        return tuple(sorted(built))

    async def repositories(self) -> tuple[str, ...]:
        return tuple(sorted({str(image.name) for image in self.built}))

    @property
    def _known(self) -> frozenset[str]:
        return PACKAGES | self.slow.keys() | self.seconds.keys()

    async def _build(self, packages: tuple[str, ...], tag: str, progress: Progress) -> BuiltImage:
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
            unknown = tuple(package for package in packages if package not in self._known)
            if unknown:
                raise PackagesUnknown(unknown, ("hello",))
            return await self._store(packages)

    async def _store(self, packages: tuple[str, ...]) -> BuiltImage:
        tar = "\n".join(packages).encode()
        layer = gzip.compress(tar, mtime=0)
        config = canonical_json(
            {
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(tar))]},
            }
        )
        for kind, body in ((MediaType.OCI_LAYER_GZIP, layer), (MediaType.OCI_CONFIG, config)):
            self.existence.note(Descriptor(kind, await self.blobs.write_blob(body), len(body)))
        oci = _manifest(config, layer, docker=False)
        docker = _manifest(config, layer, docker=True)
        return BuiltImage(
            manifest=Descriptor(
                MediaType.OCI_MANIFEST, await self.blobs.write_manifest(oci), len(oci)
            ),
            docker_manifest=Descriptor(
                MediaType.DOCKER_MANIFEST, await self.blobs.write_manifest(docker), len(docker)
            )
            if self.docker
            else None,
            warnings=self.warnings,
        )


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
