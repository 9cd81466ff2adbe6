"""The names and tags that were built, for the lists; nothing else depends on them."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Collection

from loguru import logger
from pydantic import TypeAdapter

from app.builder.builds.recent import RecentImages
from app.errors import StorageUnavailable
from app.oci import Digest
from app.reference import ImageReference, RepositoryName
from app.request import spelling
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.concurrency import gather

# Name and tag.
TAGS: Kind[tuple[str, str]] = Kind(name="tags", format=1, adapter=TypeAdapter(tuple[str, str]))
_READERS = 32
# Names with a tag, in memory and in storage; clients may add any number.
LIMIT = 100_000


class Catalogue:
    """The names and tags built so far, read from storage at the first use.

    Additions of other servers are seen after a restart.  A name has one spelling whatever the
    order of its packages, so that clients cannot add one image many times.  ``sources`` are the
    components that may come first.
    """

    def __init__(self, *, storage: Storage, sources: Collection[str]) -> None:
        self.recent = RecentImages(storage=storage, sources=sources)
        self._storage = storage
        self._sources = sources
        self._records = Records(storage=storage, kind=TAGS)
        self._tags: defaultdict[str, list[str]] = defaultdict(list)  # sorted
        self._names: list[str] = []  # sorted; those that have tags
        self._loading = asyncio.Lock()
        self._loaded = False
        self._size = 0  # of all lists of tags
        self._counting = asyncio.Lock()
        self._stored: int | None = None  # until they are counted
        self._is_full = False
        self._writing: set[asyncio.Task[None]] = set()

    def add(self, reference: ImageReference) -> None:
        """List the name at once and write it in the background."""
        name, tag = self._spelling(reference.name), str(reference.reference)
        if self._is_noted(name, tag) or not self._note(name, tag):
            return
        task = asyncio.create_task(self._write(name, tag))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait for running writes."""
        await asyncio.gather(*self._writing)
        await self.recent.close()

    async def tags(
        self, name: RepositoryName, *, after: str = "", most: int = LIMIT
    ) -> tuple[str, ...]:
        """Return at most ``most`` tags that sort after one, sorted."""
        await self._load()
        tags = self._tags.get(self._spelling(name), [])
        start = bisect_right(tags, after)
        return tuple(tags[start : start + most])

    async def names(self) -> tuple[str, ...]:
        """Return all names, sorted."""
        await self._load()
        return tuple(self._names)

    def _spelling(self, name: RepositoryName) -> str:
        return str(spelling(name, sources=self._sources))

    def _is_noted(self, name: str, tag: str) -> bool:
        tags = self._tags.get(name, ())
        place = bisect_left(tags, tag)
        return place < len(tags) and tags[place] == tag

    def _note(self, name: str, tag: str) -> bool:
        """Return False if the lists are full."""
        if self._size >= LIMIT:
            self._log_full()
            return False
        tags = self._tags[name]
        if not tags:
            insort(self._names, name)
        insort(tags, tag)
        self._size += 1
        return True

    def _discard(self, name: str, tag: str) -> None:
        tags = self._tags[name]
        del tags[bisect_left(tags, tag)]
        self._size -= 1
        if not tags:
            del self._tags[name]
            del self._names[bisect_left(self._names, name)]

    async def _write(self, name: str, tag: str) -> None:
        key = TAGS.key(name=name, tag=tag)
        try:
            if await self._records.read(key) != (name, tag):
                if not await self._make_room():
                    self._discard(name, tag)
                    return
                await self._records.write(key, (name, tag))
        except StorageUnavailable as error:
            logger.warning("{}:{} will be missing from the lists: {}", name, tag, error)
            self._discard(name, tag)

    async def _make_room(self) -> bool:
        """Return whether one more may be stored.  Raises StorageUnavailable."""
        async with self._counting:
            if self._stored is None:
                self._stored = len(await self._storage.keys(f"{TAGS.name}/"))
            if self._stored < LIMIT:
                self._stored += 1
                return True
            self._log_full()
            return False

    def _log_full(self) -> None:
        """Log once that the lists are full."""
        if not self._is_full:
            self._is_full = True
            logger.warning(
                "the lists have {} names and take no more; delete tags/ from the storage, and"
                " restart, to start new ones",
                LIMIT,
            )

    async def _load(self) -> None:
        async with self._loading:
            if self._loaded:
                return
            found = await self._storage.keys(f"{TAGS.name}/")
            for start in range(0, min(len(found), LIMIT), _READERS):
                part = found[start : start + _READERS]
                keys = (Digest("sha256", key.rpartition("/")[2]) for key in part)
                rows = await gather(map(self._records.read, keys))
                for name, tag in filter(None, rows):
                    spelt = self._spelling(RepositoryName(name))
                    if not self._is_noted(spelt, tag):
                        self._note(spelt, tag)
            self._loaded = True
