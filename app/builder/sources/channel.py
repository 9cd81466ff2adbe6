"""Channels of NixOS: for each the commit that was built and tested last.

The channel host publishes the commit at ``/CHANNEL/git-revision``.  The files come as an archive
from a git host, which also resolves abbreviated commits.
"""

import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO

import anyio
import httpx

from app.builder.nix.door import PackageSet
from app.builder.sources import archive
from app.builder.sources.archive import ArchiveInvalid
from app.builder.sources.commits import COMMIT, FULL_COMMIT
from app.builder.sources.definition import ChannelDefinition
from app.builder.sources.revision import Revision
from app.builder.sources.trees import Trees, place_of
from app.builder.sources.unpacking import date_of, translate_disk_errors, translate_unpacking_errors
from app.builder.sources.upstream import UNTRUSTED
from app.errors import SourceUnavailable, TagUnknown
from app.reference import LATEST
from app.system import threads
from app.system.blocking import blocking
from app.system.cache import Cache
from app.system.http_clients import async_client
from app.system.workers import Workers
from app.text.sanitize import one_line_for_client

_CHANNEL = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
_EXAMPLES = ("nixos-unstable", "nixpkgs-unstable", "nixos-YY.MM", "nixos-YY.MM-small")
# Hosts of static files send any of these for a missing file.
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.GONE}
_CAUSE_LIMIT = 150
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"  # OpenSSL's name; httpx has no exception for it
_FOUND = 4096  # cached channels; clients can query any number
_HTTP_SECONDS = 30
_PAGE_LIMIT = 1024  # bytes; a commit and the end of a line are 41
_ARCHIVE_LIMIT = 2 * 1024**3


def new_client() -> httpx.AsyncClient:
    return async_client(seconds=_HTTP_SECONDS, most=_ARCHIVE_LIMIT)


class ChannelUpstream:
    """A host of channels.

    ``http`` follows redirects: a channel is a link to its newest release.  ``directory`` is for
    archives while they are downloaded; it is on the disk of the source trees.
    """

    def __init__(
        self,
        *,
        definition: ChannelDefinition,
        http: httpx.AsyncClient,
        trees: Trees,
        directory: Path,
        workers: Workers,
        seconds: float,
    ) -> None:
        self._definition = definition
        self._place = place_of(definition, "archive")
        self._http = http
        self._trees = trees
        self._directory = directory
        self._workers = workers
        self._seconds = seconds
        self._found: Cache[str, None] = Cache(_FOUND)

    async def find(self, tag: str) -> Revision:
        with self._translate_errors(), translate_disk_errors():
            try:
                with anyio.fail_after(self._seconds):
                    return await self._find(tag)
            except TimeoutError as error:
                raise self._unavailable(error) from None

    async def tags(self) -> tuple[str, ...]:
        """Return the cached tags: a host does not list its channels."""
        return (LATEST, *self.cached_tags())

    def cached_tags(self) -> tuple[str, ...]:
        """Return the tags of the definition, and channels that were found before."""
        named = self._definition.taggable((self._definition.channel, *self._definition.pins))
        tags = (n for n in named if _CHANNEL.fullmatch(n) or COMMIT.fullmatch(n))
        return tuple(sorted({*tags, *self._found}))

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        with self._translate_errors():
            async with self._tree(revision.label) as tree:
                yield PackageSet("path", str(tree))

    async def _find(self, tag: str) -> Revision:
        wanted = self._definition.channel if tag == LATEST else tag
        if COMMIT.fullmatch(wanted):
            commit, moves = await self._full(wanted), False
        else:
            commit, moves = await self._published(wanted, tag), True
        async with self._tree(commit) as tree:
            status = await self._workers.run(tree.stat)
        return Revision(
            source=self._definition.name,
            identity=f"commit:{commit}",
            date=date_of(int(status.st_mtime)),
            moves=moves,
        )

    async def _published(self, channel: str, tag: str) -> str:
        if not _CHANNEL.fullmatch(channel):
            raise self._unknown(tag)
        url = f"{self._definition.location}/{channel}/git-revision"
        async with self._http.stream("GET", url) as response:
            if response.status_code in _ABSENT:
                self._found.pop(tag)
                raise self._unknown(tag)
            response.raise_for_status()
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _PAGE_LIMIT:
                    break
        commit = body.decode(errors="replace").strip() if len(body) <= _PAGE_LIMIT else ""
        if not FULL_COMMIT.fullmatch(commit):
            raise SourceUnavailable(
                f"source {self._definition.name} publishes no commit for channel {channel}"
            )
        if tag != LATEST:
            self._found[tag] = None
        return commit

    async def _full(self, commit: str) -> str:
        if FULL_COMMIT.fullmatch(commit):
            return commit
        async with self._downloaded(commit) as file:
            full = (await self._workers.run(archive.read_head, file)).commit
            if full is None or not full.startswith(commit):
                raise self._unknown(commit)
            async with self._trees.tree(self._place, full, lambda path: self._unpack(file, path)):
                return full

    @asynccontextmanager
    async def _tree(self, commit: str) -> AsyncIterator[Path]:
        async def make(path: Path) -> None:
            async with self._downloaded(commit) as file:
                written = (await self._workers.run(archive.read_head, file)).commit
                if written not in {None, commit}:
                    raise ArchiveInvalid("the archive has another commit")
                await self._unpack(file, path)

        async with self._trees.tree(self._place, commit, make) as tree:
            yield tree

    async def _unpack(self, file: IO[bytes], path: Path) -> None:
        await self._workers.run(archive.unpack, file, path)

    @asynccontextmanager
    async def _downloaded(self, commit: str) -> AsyncIterator[IO[bytes]]:
        url = self._definition.archive.replace("{commit}", commit)
        file = await self._workers.obtain(self._spool, discard=IO.close)
        try:
            async with self._http.stream("GET", url) as response:
                if response.status_code in _ABSENT:
                    raise self._unknown(commit)
                response.raise_for_status()
                async for chunk in response.aiter_bytes():
                    await self._workers.run(file.write, chunk)
            yield file
        finally:
            # Closing frees the space of a large file, which takes time.
            await threads.finish(file.close)

    @blocking
    def _spool(self) -> IO[bytes]:
        """Open a file without a name."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._directory)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise errors with messages for the client."""
        try:
            with translate_unpacking_errors(self._definition.name):
                yield
        except (httpx.HTTPError, ArchiveInvalid) as error:
            raise self._unavailable(error) from None

    def _unknown(self, tag: str) -> TagUnknown:
        known = self._definition.refs if self._definition.refs != ("*",) else _EXAMPLES
        return TagUnknown(
            f"source {self._definition.name} has no channel or commit {tag}; it has"
            f" {LATEST} ({self._definition.channel}), channels like {', '.join(known)},"
            " and commits of 7 to 40 digits"
        )

    def _unavailable(self, error: Exception) -> SourceUnavailable:
        cause = one_line_for_client(str(error), _CAUSE_LIMIT) or type(error).__name__
        if isinstance(error, httpx.HTTPStatusError):
            cause = f"its response was {error.response.status_code}"
        if _UNTRUSTED in cause:
            cause = UNTRUSTED
        return SourceUnavailable(f"source {self._definition.name} cannot be reached: {cause}")
