"""A source of packages: tags become revisions, once for all who wait, and are remembered."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime

from loguru import logger

from app.builder.nix import PackageSet
from app.builder.records.records import Records, key_of
from app.builder.sources.definition import LATEST, Definition
from app.builder.sources.revision import Revision
from app.builder.sources.upstream import Upstream
from app.errors import SourceUnavailable, TagUnknown
from app.oci import Digest
from app.reference import Tag
from app.storage.base import Storage

_FORMAT = 1
_REMEMBERED = 4096
_AT_ONCE = 4
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
        self._upstream = upstream
        self._records = Records(storage=storage, kind="revisions")
        self._clock = clock
        self._known: dict[str, tuple[float, Revision | TagUnknown]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._asking: dict[str, asyncio.Task[Revision]] = {}
        self.doubts = 0

    @property
    def name(self) -> str:
        return self.definition.name

    async def resolve(self, tag: Tag) -> Revision:
        """Raises TagUnknown, SourceUnavailable."""
        text = tag.text
        if not self.definition.allows(text):
            raise TagUnknown(
                f"source {self.name} serves {LATEST} and tags like"
                f" {', '.join(self.definition.refs)}, not {tag}"
            )
        known = self._known.get(text)
        if known is not None and self._clock() < known[0]:
            return _given(known[1])
        task = self._asking.get(text)
        if task is None:
            task = self._asking[text] = asyncio.create_task(self._ask(text))
            task.add_done_callback(lambda done: self._answered(text, done))
        # Whoever gives up does not end what the others wait for.
        return await asyncio.shield(task)

    def checkout(self, revision: Revision) -> AbstractAsyncContextManager[PackageSet]:
        """Raises SourceUnavailable, SourceMoved."""
        return self._upstream.checkout(revision)

    def forget(self) -> None:
        """Ask anew for every tag: what was known turned out to have changed."""
        self.doubt()
        self._known.clear()

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
        try:
            async with self._at_once:
                revision = await self._upstream.find(text)
        except TagUnknown as unknown:
            self._remember(text, unknown, min(self.definition.revision_seconds, _RETRY_SECONDS))
            raise
        except SourceUnavailable as error:
            revision = await self._last_known(text, error)
            self._remember(text, revision, _RETRY_SECONDS)
            return revision
        key = self._key(text)
        if await self._records.read(key, lambda d: _parse(d, self.name)) != revision:
            await self._records.write(key, _document(revision))
        seconds = self.definition.revision_seconds if revision.moves else float("inf")
        self._remember(text, revision, seconds)
        logger.bind(source=self.name, tag=text, revision=revision.identity).debug("resolved")
        return revision

    async def _last_known(self, text: str, error: SourceUnavailable) -> Revision:
        known = await self._records.read(self._key(text), lambda d: _parse(d, self.name))
        if known is None:
            raise error
        logger.bind(source=self.name, tag=text, revision=known.identity).warning(
            "using the last known revision: {}", error
        )
        warning = (
            f"source {self.name} cannot be reached;"
            f" {text} is its last known revision {known.label[:12]}"
        )
        return replace(known, warnings=(warning,))

    def _remember(self, text: str, revision: Revision | TagUnknown, seconds: float) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[text] = (self._clock() + seconds, revision)

    def _key(self, text: str) -> Digest:
        place = self.definition.place
        return key_of({"format": _FORMAT, "source": self.name, "place": place, "tag": text})


def _given(known: Revision | TagUnknown) -> Revision:
    if isinstance(known, TagUnknown):
        raise known.with_traceback(None)
    return known


def _document(revision: Revision) -> dict[str, object]:
    return {
        "identity": revision.identity,
        "date": revision.date.timestamp() if revision.date else None,
        "moves": revision.moves,
    }


def _parse(document: dict[str, object], source: str) -> Revision:
    match document:
        case {"identity": str(identity), "date": int() | float() | None as date, "moves": bool(m)}:
            moment = None if date is None else datetime.fromtimestamp(date, UTC)
            return Revision(source=source, identity=identity, date=moment, moves=m)
        case _:
            raise TypeError("not a revision")
