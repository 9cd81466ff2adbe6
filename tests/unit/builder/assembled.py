"""The way from a request to a stored image, as the server assembles it, without Nix."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.builder.images.image import BuiltImage, BuiltIndex
from app.builder.images.layering.choice import NO_PROFILES
from app.builder.nix.door import Flake, PackageSet
from app.builder.nix.programs.local_store import LocalStore
from app.builder.sources.definition import (
    Definition,
    FlakeDefinition,
    GitDefinition,
)
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.errors import TagUnknown
from app.reference import ImageReference
from app.settings.settings import Settings
from app.state import Pull
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from app.wiring.images import OpenImages, open_images
from app.wiring.nix import OpenNix
from app.wiring.sources import OpenSources
from app.wiring.storage import OpenStorage
from tests.fakes.nix import FakeNix
from tests.fakes.package_set import Attribute, package

ALWAYS = {
    "cacert": package("cacert-1", {"etc/ssl/certs/ca-bundle.crt": "certificates\n"}),
    "iana-etc": package("iana-etc-1", {"etc/services": "http 80/tcp\n"}),
}


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Tags:
    """An upstream whose tags stand for revisions; ``error`` is raised for each request."""

    source: str
    is_flake: bool = False
    revisions: dict[str, str] = field(default_factory=lambda: {"latest": "1"})
    error: Exception | None = None
    requests: int = 0

    async def find(self, tag: str) -> Revision:
        self.requests += 1
        if self.error is not None:
            raise self.error
        if tag not in self.revisions:
            raise TagUnknown(f"source {self.source} does not have {tag}")
        return Revision(self.source, f"commit:{self.revisions[tag]}", date=None, moves=True)

    async def tags(self) -> tuple[str, ...]:
        return tuple(self.revisions)

    def cached_tags(self) -> tuple[str, ...]:
        return ()

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        if self.is_flake:
            yield PackageSet("flake", "/flake", flake=Flake("/flake", revision.label, 0))
        else:
            yield PackageSet("path", "/set")


@dataclass
class Assembled:
    """Sources ``set``, the default one, ``team`` and ``flake``, over one FakeNix and storage."""

    nix: FakeNix
    images: OpenImages
    storage: MemoryStorage
    clock: Clock
    tags: Mapping[str, Tags]
    opener: "Opener"

    def pull(self, name: str, tag: str = "latest", client: str = "") -> Pull:
        return self.images.service.pull(ImageReference.parse(name, tag), client)

    async def build(self, name: str, tag: str = "latest") -> BuiltImage:
        image = await self.pull(name, tag).wait(None)
        assert isinstance(image, BuiltImage)
        return image

    async def build_index(self, name: str, tag: str = "latest") -> BuiltIndex:
        index = await self.pull(name, tag).wait(None)
        assert isinstance(index, BuiltIndex)
        return index


class Opener:
    """Opens servers over one Nix, clock and storage: the next one is a restart."""

    def __init__(
        self, directory: Path, stack: AsyncExitStack, attributes: Mapping[str, Attribute]
    ) -> None:
        self.nix = FakeNix(directory, {**ALWAYS, **attributes})
        self.clock = Clock()
        self.storage = MemoryStorage()
        self._stack = stack

    async def open(
        self,
        *,
        team: Mapping[str, Any] | None = None,
        evaluation_seconds: float = 60,
        **settings: object,
    ) -> Assembled:
        """Open a server.

        ``team`` are further fields of the definition of that source, ``settings`` the
        server's.
        """
        fields: dict[str, Any] = {"evaluation_seconds": evaluation_seconds}
        definitions: tuple[Definition, ...] = (
            GitDefinition(name="set", location="https://example.org/set", default=True, **fields),
            GitDefinition(
                name="team", location="https://example.org/team", **{**fields, **(team or {})}
            ),
            FlakeDefinition(name="flake", location="https://example.org/flake"),
        )
        tags = {one.name: Tags(one.name, is_flake=one.kind == "flake") for one in definitions}
        sources = {
            one.name: Source(
                definition=one, upstream=tags[one.name], storage=self.storage, clock=self.clock
            )
            for one in definitions
        }
        opened = OpenSources(sources, sources, sources["set"], ())
        workers = Workers(4)
        images = open_images(
            Settings.model_validate({"system": "x86_64-linux", **settings}),
            self._stack,
            nix=OpenNix(
                self.nix,
                self.nix,
                LocalStore(self.nix.store_directory, query=self.nix.closure),
            ),
            stored=OpenStorage(
                self.storage, BlobStore(self.storage), BlobExistenceCache(self.storage)
            ),
            sources=opened,
            workers=workers,
            profiles=NO_PROFILES,
        )
        return Assembled(self.nix, images, self.storage, self.clock, tags, self)
