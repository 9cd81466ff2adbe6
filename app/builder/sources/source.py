"""A source of packages: tags become revisions, once for all who wait, and are remembered."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace

from loguru import logger
from pydantic import TypeAdapter

from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.builder.nix.door import PackageSet
from app.builder.sources.definition import LATEST, Definition
from app.builder.sources.revision import Revision
from app.builder.sources.search_path import SearchPath
from app.builder.sources.tag_cache import TagCache
from app.builder.sources.upstream import Upstream
from app.errors import SourceUnavailable, TagUnknown
from app.oci import Digest
from app.reference import Tag
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records

REVISIONS = Kind(name="revisions", format=3, adapter=TypeAdapter(Revision))
_AT_ONCE = 4
_WAITING = 32
_LONGEST_RETRY = 120
_LISTED = 12
_RETRY_SECONDS = 30  # for an upstream that did not answer, or that has no such tag


class Source:
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
        # Strangers may ask for any number of tags, and keep nobody from those that were there.
        self._known_tags = _queue(definition.name)
        self._new_tags = _queue(definition.name)
        self._asking: dict[str, asyncio.Task[Revision]] = {}
        self.doubts = 0

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def contents(self) -> dict[str, object]:
        return self.definition.contents

    async def resolve(self, tag: Tag) -> Revision:
        """Raises TagUnknown, SourceUnavailable, TooManyRequests."""
        return await self.search_path.resolve(await self.resolve_files(tag))

    async def resolve_files(self, tag: Tag) -> Revision:
        """The revision of its own files.  Raises what ``resolve`` does."""
        text = tag.text
        known = self._known.read(text)
        if known is not None:
            return _given(known)
        task = self._asking.get(text)
        if task is None:
            task = self._asking[text] = asyncio.create_task(self._ask(text))
            task.add_done_callback(lambda done: self._answered(text, done))
        # Whoever gives up does not end what the others wait for.
        return await asyncio.shield(task)

    def known(self, tag: Tag) -> Revision | TagUnknown | None:
        """What ``resolve`` would say without asking anybody; None if it would ask."""
        own = self.known_files(tag)
        return self.search_path.known(own) if isinstance(own, Revision) else own

    def known_files(self, tag: Tag) -> Revision | TagUnknown | None:
        """The same of its own files."""
        return self._known.read(tag.text)

    async def at_hand(self, tag: Tag) -> Revision | None:
        """What a tag that was asked for stands for now, if no other machine has to be asked."""
        if self.definition.kind == "path" and tag.text in self._known:
            with suppress(TagUnknown, SourceUnavailable):
                return await self.resolve(tag)
        known = self.known(tag)
        return known if isinstance(known, Revision) else None

    def tags(self) -> frozenset[str]:
        """Those that are known by now, without asking anybody."""
        known = (LATEST, *self._upstream.seen())
        return frozenset(t for t in known if not isinstance(self._known.read(t), TagUnknown))

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        """Raises SourceUnavailable, SourceMoved."""
        async with (
            self.checkout_files(revision) as own,
            self.search_path.checkout(own, revision) as package_set,
        ):
            yield package_set

    def checkout_files(self, revision: Revision) -> AbstractAsyncContextManager[PackageSet]:
        """Its own files alone.  Raises what ``checkout`` does."""
        return self._upstream.checkout(revision)

    def forget(self) -> None:
        """Ask anew for every tag: what was known turned out to have changed."""
        self.doubt()
        self._known.clear()
        self.search_path.forget()

    def doubt(self) -> None:
        """Files were read, and nobody knows whether they stood still: keep nothing of that."""
        self.doubts += 1

    async def close(self) -> None:
        for task in tuple(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _answered(self, text: str, done: asyncio.Task[Revision]) -> None:
        del self._asking[text]
        if not done.cancelled():
            done.exception()  # everybody may have left; that is no error of its own

    async def _ask(self, text: str) -> Revision:
        key = revision_key(self.definition, text)
        recorded = await self._records.read(key)
        try:
            revision = await self._find(text, recorded)
        except TagUnknown as unknown:
            seconds = min(self.definition.revision_seconds, _RETRY_SECONDS)
            self._known.write(text, unknown, seconds)
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
        """With the list of what there is, if that is to be had."""
        tags: tuple[str, ...] = (LATEST,)
        with suppress(SourceUnavailable):
            async with self._new_tags.slot(Progress()):
                tags = await self._upstream.tags()
        listed = ", ".join(tags[:_LISTED])
        more = f" and {len(tags) - _LISTED} more" if len(tags) > _LISTED else ""
        return TagUnknown(
            f"source {self.name} serves {LATEST} and tags like"
            f" {', '.join(self.definition.refs)}, not {text}; it has {listed}{more}",
            {"tags": list(tags)},
        )

    def _last_known(self, text: str, known: Revision, error: SourceUnavailable) -> Revision:
        logger.bind(source=self.name, tag=text, revision=known.identity).warning(
            "using the last known revision: {}", error
        )
        warning = (
            f"source {self.name} cannot be reached;"
            f" {text} is its last known revision {known.label[:12]}"
        )
        return replace(known, warnings=(warning,))


def _given(known: Revision | TagUnknown) -> Revision:
    if isinstance(known, TagUnknown):
        raise known.with_traceback(None)
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
