"""A directory of this machine as a source; its only tag is ``latest``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.builder.nix import PackageSet
from app.builder.sources.definition import PathDefinition
from app.builder.sources.fingerprint import Fingerprint
from app.builder.sources.revision import Revision
from app.builder.sources.upstream import SourceMoved
from app.builder.workers import Workers
from app.errors import SourceUnavailable, TagUnknown

TAG = "latest"


class PathUpstream:
    def __init__(self, *, definition: PathDefinition, workers: Workers) -> None:
        self._definition = definition
        self._workers = workers
        self._fingerprint = Fingerprint(str(definition.location))

    async def find(self, tag: str) -> Revision:
        if tag != TAG:
            raise TagUnknown(
                f"source {self._definition.name} is a directory and has one tag, {TAG}, not {tag}"
            )
        return Revision(
            source=self._definition.name, identity=await self._identity(), date=None, moves=True
        )

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        await self._still(revision)
        yield PackageSet("path", str(self._definition.location))
        await self._still(revision)

    async def _still(self, revision: Revision) -> None:
        if await self._identity() != revision.identity:
            raise SourceMoved(f"source {self._definition.name} is being changed; ask again")

    async def _identity(self) -> str:
        try:
            return f"tree:{await self._workers.run(self._fingerprint.take)}"
        except OSError as error:
            raise SourceUnavailable(
                f"source {self._definition.name} cannot be read: {error.strerror}"
            ) from None
