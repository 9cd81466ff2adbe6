"""A directory of this machine as a source, with the only tag ``latest``."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.builder.nix.door import PackageSet
from app.builder.sources.definition import PathDefinition
from app.builder.sources.fingerprint import Fingerprint
from app.builder.sources.revision import Revision
from app.builder.sources.upstream import SourceMoved
from app.errors import SourceUnavailable, TagUnknown
from app.reference import LATEST
from app.system.blocking import blocking
from app.system.workers import Workers


class PathUpstream:
    """The upstream of a source that is a directory or file of this machine."""

    def __init__(self, *, definition: PathDefinition, workers: Workers) -> None:
        self._definition = definition
        self._workers = workers
        paths = (definition.location, *definition.reads)
        self._fingerprints = [Fingerprint(str(path)) for path in paths]

    async def find(self, tag: str) -> Revision:
        if tag != LATEST:
            raise TagUnknown(
                f"source {self._definition.name} is a directory and has one tag, {LATEST}, not {tag}",
                {"tags": [LATEST]},
            )
        return Revision(
            source=self._definition.name, identity=await self._identity(), date=None, moves=True
        )

    async def tags(self) -> tuple[str, ...]:
        return (LATEST,)

    def cached_tags(self) -> tuple[str, ...]:
        return ()

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        await self._check_unchanged(revision)
        readable = tuple(map(str, self._definition.reads))
        location = self._definition.location
        is_file = await self._workers.run(location.is_file)
        yield PackageSet("path", str(location), readable, is_file=is_file)
        await self._check_unchanged(revision)

    async def _check_unchanged(self, revision: Revision) -> None:
        if await self._identity() != revision.identity:
            raise SourceMoved(f"source {self._definition.name} is being changed; try again")

    async def _identity(self) -> str:
        try:
            return f"tree:{await self._workers.run(_take, self._fingerprints)}"
        except OSError as error:
            raise SourceUnavailable(
                f"source {self._definition.name} cannot be read: {error.strerror}"
            ) from None


@blocking
def _take(fingerprints: Sequence[Fingerprint]) -> str:
    """Return git's own hash for one path, else a hash of all.  Raises OSError."""
    taken = [fingerprint.take() for fingerprint in fingerprints]
    if len(taken) == 1:
        return taken[0]
    return hashlib.sha1(" ".join(taken).encode(), usedforsecurity=False).hexdigest()
