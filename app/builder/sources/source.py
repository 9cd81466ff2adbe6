"""A source of packages: resolves tags to revisions, and caches and records them."""

import math
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from heapq import merge

from loguru import logger
from pydantic import TypeAdapter

from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.door import PackageSet
from app.builder.sources.definition import Definition
from app.builder.sources.revision import Revision
from app.builder.sources.search_path import SearchPath
from app.builder.sources.tag_cache import TagCache
from app.builder.sources.upstream import MOST_DETAILS, Upstream
from app.errors import SourceUnavailable, TagUnknown
from app.failure import Failure
from app.oci import Digest
from app.reference import LATEST, Tag
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.single_flight import SingleFlight

REVISIONS = Kind(name="revisions", format=3, adapter=TypeAdapter(Revision))
_AT_ONCE = 4
_WAITING = 32
_LONGEST_RETRY = 120
_LISTED = 12  # tags in a message
_RETRY_SECONDS = 30  # until the next query after an error, or for an unknown tag


class Source:
    """A package source: its definition, its upstream, and the revisions of its tags."""

    def __init__(
        self,
        *,
        definition: Definition,
        upstream: Upstream,
        storage: Storage,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.definition = definition
        self.search_path = SearchPath(definition.name, {})
        self._upstream = upstream
        self._records = Records(storage=storage, kind=REVISIONS)
        self._known = TagCache(clock)
        # Queries for any number of new tags must not delay queries for recorded ones.
        self._known_tags = _queue(definition.name)
        self._new_tags = _queue(definition.name)
        self._queries: SingleFlight[str, Revision] = SingleFlight()
        self.generation = 0

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def contents(self) -> dict[str, object]:
        return self.definition.contents

    async def resolve(self, tag: Tag) -> Revision:
        """Return the revision of a tag, with those of the search path.

        Raises TagUnknown, SourceUnavailable, TooManyRequests.
        """
        return await self.search_path.resolve(await self.resolve_files(tag))

    async def resolve_files(self, tag: Tag) -> Revision:
        """Resolve without the search path.  Raises the errors of ``resolve``."""
        text = tag.text
        known = self._known.read(text)
        if known is not None:
            return _revision(known)
        return await self._queries.run(text, lambda: self._query(text))

    def cached(self, tag: Tag) -> Revision | Failure | None:
        """Return the cached result of ``resolve``; None if it would query an upstream."""
        own = self.cached_files(tag)
        return self.search_path.cached(own) if isinstance(own, Revision) else own

    def cached_files(self, tag: Tag) -> Revision | Failure | None:
        """Return the cached result of ``resolve_files``."""
        return self._known.read(tag.text)

    async def cached_revision(self, tag: Tag) -> Revision | None:
        """Return the revision of a tag that was resolved before, without a network query."""
        if self.definition.kind == "path" and tag.text in self._known:
            with suppress(TagUnknown, SourceUnavailable):
                return await self.resolve(tag)
        known = self.cached(tag)
        return known if isinstance(known, Revision) else None

    def tags(self, after: str = "") -> Iterator[str]:
        """Yield the tags that are known without a query and sort after one.

        They are sorted.  There may be half a million.
        """
        cached = self._upstream.cached_tags()
        rest = map(cached.__getitem__, range(bisect_right(cached, after), len(cached)))
        for tag in merge((LATEST,) if after < LATEST else (), rest):
            if not isinstance(self._known.read(tag), Failure):
                yield tag

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        """Provide the files, and those of the search path.  Raises SourceUnavailable, SourceMoved."""
        async with (
            self.checkout_files(revision) as own,
            self.search_path.checkout(own, revision) as package_set,
        ):
            yield package_set

    def checkout_files(self, revision: Revision) -> AbstractAsyncContextManager[PackageSet]:
        """Provide the files without the search path.  Raises the errors of ``checkout``."""
        return self._upstream.checkout(revision)

    def invalidate(self) -> None:
        """Clear all cached revisions, because files changed."""
        self.start_generation()
        self._known.clear()
        self.search_path.invalidate()

    def start_generation(self) -> None:
        """Separate later evaluations from earlier ones, whose files may have changed."""
        self.generation += 1

    async def close(self) -> None:
        await self._queries.cancel()

    async def _query(self, text: str) -> Revision:
        key = revision_key(self.definition, text)
        recorded = await self._records.read(key)
        try:
            revision = await self._find(text, recorded)
        except TagUnknown as unknown:
            seconds = min(self.definition.revision_seconds, _RETRY_SECONDS)
            self._known.write(text, Failure.of(unknown), seconds)
            raise
        except SourceUnavailable as error:
            if recorded is None:
                raise
            revision = self._last_known(text, recorded, error)
            self._known.write(text, revision, _RETRY_SECONDS)
            return revision
        if recorded != revision:
            await self._records.write(key, revision)
        seconds = self.definition.revision_seconds if revision.moves else math.inf
        self._known.write(text, revision, seconds)
        logger.bind(source=self.name, tag=text, revision=revision.identity).debug("resolved")
        return revision

    async def _find(self, text: str, recorded: Revision | None) -> Revision:
        if not self.definition.allows(text):
            raise await self._refused(text)
        if recorded is not None and not recorded.moves:
            return recorded
        is_new = recorded is None and text != LATEST
        queue = self._new_tags if is_new else self._known_tags
        async with queue.slot(Progress()):
            return await self._upstream.find(text)

    async def _refused(self, text: str) -> TagUnknown:
        """Return the error for a tag that is not served, with the tags if they can be listed."""
        tags: tuple[str, ...] = (LATEST,)
        with suppress(SourceUnavailable):
            async with self._new_tags.slot(Progress()):
                tags = await self._upstream.tags()
        listed = ", ".join(tags[:_LISTED])
        more = f" and {len(tags) - _LISTED} more" if len(tags) > _LISTED else ""
        return TagUnknown(
            f"source {self.name} serves {LATEST} and tags like"
            f" {', '.join(self.definition.refs)}, not {text}; it has {listed}{more}",
            {"tags": list(tags[:MOST_DETAILS])},
        )

    def _last_known(self, text: str, known: Revision, error: SourceUnavailable) -> Revision:
        logger.bind(source=self.name, tag=text, revision=known.identity).warning(
            "using the last known revision: {}", error
        )
        warning = (
            f"{text} of source {self.name} cannot be resolved now;"
            f" it is the last known revision {known.label[:12]}"
        )
        return replace(known, warnings=(warning,))


def _revision(known: Revision | Failure) -> Revision:
    if isinstance(known, Failure):
        raise known.exception()
    return known


def _queue(source: str) -> WorkQueue:
    return WorkQueue(
        f"tags of source {source}",
        at_once=_AT_ONCE,
        waiting=_WAITING,
        expected_seconds=1,
        longest_retry=_LONGEST_RETRY,
    )


def revision_key(definition: Definition, tag: str) -> Digest:
    return REVISIONS.key(source=definition.name, place=definition.place, tag=tag)
