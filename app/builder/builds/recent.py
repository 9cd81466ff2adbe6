"""The images that were built last, with their digests and times, also after a restart.

One record has all of them.  Pages and estimates read it; no pull depends on it.  Servers that
share a storage read what others wrote before they write, so that a lost entry is rare.  The record
is large, so that images which are built one after another are written together.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

from loguru import logger
from pydantic import AfterValidator, Field, TypeAdapter

from app.builder.images.image import Built, BuiltImage
from app.builder.jobs.phases import Phase, Seconds
from app.errors import NameInvalid, StorageUnavailable
from app.oci import Digest, MediaType
from app.reference import TAG_PATTERN, ImageReference, RepositoryName
from app.request import ARCHITECTURES, spelling
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.last_use import order_of

LIMIT = 500
# Estimates use so many builds.
_SAMPLES = 50
# Images that were built in this time are written together; a crash loses them.
_TOGETHER_SECONDS = 5
_Text = Annotated[str, Field(max_length=255)]


def _name(text: str) -> str:
    """Return the text if it is the name of a repository.  Raises ValueError."""
    try:
        return str(RepositoryName.parse(text))
    except NameInvalid as error:
        raise ValueError(error.message) from None


@dataclass(frozen=True, slots=True)
class RecentImage:
    """An image that was built or found again.

    ``digest`` is that of the index or the only manifest, ``manifests`` those of its images.
    ``seconds`` are the times of the build that made it; empty if it was only found again.
    """

    name: Annotated[_Text, AfterValidator(_name)]
    tag: Annotated[str, Field(pattern=f"^{TAG_PATTERN}$")]
    digest: Digest
    media_type: MediaType
    manifests: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=len(ARCHITECTURES))]
    built_at: datetime
    seconds: Mapping[Phase, Annotated[float, Field(ge=0, le=1e9)]]


RECENT: Kind[tuple[RecentImage, ...]] = Kind(
    name="recent",
    format=1,
    adapter=TypeAdapter(Annotated[tuple[RecentImage, ...], Field(max_length=LIMIT)]),
)
_KEY = RECENT.key()


class RecentImages:
    """The record of recent images.

    ``sources`` are the path components that select a source.
    """

    def __init__(self, *, storage: Storage, sources: Collection[str]) -> None:
        self._records = Records(storage=storage, kind=RECENT)
        self._sources = sources
        self._images: dict[tuple[str, str], RecentImage] = {}
        self._loading = asyncio.Lock()
        self._is_loaded = False
        self._writing: asyncio.Task[None] | None = None
        self._is_changed = False
        self._is_closing = asyncio.Event()
        self._written: bytes | None = None

    def add(self, reference: ImageReference, built: Built, seconds: Seconds) -> None:
        """Note an image at once, and write it in the background."""
        seconds = seconds if Phase.PACK in seconds else {}
        key = self._key(reference)
        document = built.manifest if isinstance(built, BuiltImage) else built.index
        images = [built] if isinstance(built, BuiltImage) else [one.image for one in built.children]
        known = self._images.get(key)
        if known and known.digest == document.digest and not seconds:
            return
        self._images.pop(key, None)
        self._images[key] = RecentImage(
            name=key[0],
            tag=key[1],
            digest=document.digest,
            media_type=document.media_type,
            manifests=tuple(image.manifest.digest for image in images),
            built_at=datetime.now(UTC),
            seconds={phase: round(took, 3) for phase, took in seconds.items()},
        )
        self._is_changed = True
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write at once what is not written, and wait for it."""
        self._is_closing.set()
        if self._writing is not None:
            await self._writing

    async def latest(self, count: int) -> tuple[RecentImage, ...]:
        """Return the images that were built last, the latest first.  Raises StorageUnavailable."""
        await self._load()
        return tuple(reversed(self._images.values()))[:count]

    async def find(self, reference: ImageReference) -> RecentImage | None:
        """Return the recent image of a reference, if there is one.  Raises StorageUnavailable."""
        await self._load()
        return self._images.get(self._key(reference))

    def samples(self, title: str) -> tuple[Seconds, ...]:
        """Return the times of builds of this image, or of all if it was not built before.

        Only of images in memory: a page of a build does not wait for storage.
        """
        timed = [one for one in self._images.values() if Phase.PACK in one.seconds]
        own = [one.seconds for one in timed if f"{one.name}:{one.tag}" == title]
        return tuple(own or [one.seconds for one in timed[-_SAMPLES:]])

    async def load(self) -> None:
        """Read the record, so that estimates have samples; an unreadable one is logged."""
        try:
            await self._load()
        except StorageUnavailable as error:
            logger.warning("recent images cannot be read: {}", error)

    def _key(self, reference: ImageReference) -> tuple[str, str]:
        return str(spelling(reference.name, sources=self._sources)), str(reference.reference)

    async def _load(self) -> None:
        async with self._loading:
            if not self._is_loaded:
                self._merge(await self._records.read(_KEY) or ())
                self._is_loaded = True

    async def _write(self) -> None:
        try:
            while self._is_changed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_closing.wait(), _TOGETHER_SECONDS)
                self._is_changed = False
                await self._merge_stored()
                self._written = self._records.encode(_KEY, tuple(self._images.values()))
                await self._records.write_body(_KEY, self._written)
                # A server that wrote at the same moment may not have had these images.
                (stored,) = await self._records.bodies((_KEY,))
                self._is_changed = self._is_changed or stored != self._written
        except StorageUnavailable as error:
            logger.warning("recent images will be missing after a restart: {}", error)
        finally:
            self._writing = None

    async def _merge_stored(self) -> None:
        """Add what other servers wrote since the last write."""
        async with self._loading:
            (body,) = await self._records.bodies((_KEY,))
            stored: tuple[RecentImage, ...] | None = None
            if body is None or body != self._written:
                (stored,) = self._records.decode_each((_KEY,), (body,))
            self._merge(stored or ())
            self._is_loaded = True

    def _merge(self, stored: Iterable[RecentImage]) -> None:
        """Keep the latest image of each name and tag, and the times of its last build."""
        merged: dict[tuple[str, str], RecentImage] = {}
        both = sorted((*stored, *self._images.values()), key=_age)
        for one in both:
            key = (one.name, one.tag)
            before = merged.pop(key, None)
            merged[key] = one if one.seconds or before is None else _timed(one, before)
        self._images = dict(list(merged.items())[-LIMIT:])


def _age(image: RecentImage) -> int:
    return order_of(int(image.built_at.timestamp() * 1e9))


def _timed(image: RecentImage, before: RecentImage) -> RecentImage:
    return replace(image, seconds=before.seconds)
