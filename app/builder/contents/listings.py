"""Listings, each made once and remembered, and what is made of them."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from app.builder.closure import StorePath
from app.builder.contents.forest import Forest, Package, merge
from app.builder.contents.listing import Listing, listing_document, parse_listing, scan
from app.builder.contents.planting import Plantings
from app.builder.packing.entry import Entry
from app.builder.records.records import UNREADABLE, Records, key_of
from app.builder.running.concurrency import gather
from app.builder.running.workers import Workers
from app.errors import StoreUnreadable
from app.oci import Digest
from app.storage.base import Storage

# Raise when a listing holds something else.
_FORMAT = 1
# Of packages that were asked for by name; a large one takes some megabytes.
_KEPT = 64
# Bytes; the links to the largest packages are two megabytes.
_PLANTED = 64 << 20


class Listings:
    """A large package has tens of thousands of names: workers go through them, not the loop."""

    def __init__(
        self, *, storage: Storage, workers: Workers, store_directory: Path = Path("/nix/store")
    ) -> None:
        self._records = Records(storage=storage, kind="listings")
        self._workers = workers
        self._store = store_directory
        self._kept: dict[StorePath, Listing] = {}
        self._plantings = Plantings(budget=_PLANTED)

    async def has_all(self, paths: Sequence[StorePath]) -> bool:
        """Whether ``listing`` would need nothing of the store, for each."""
        return None not in await self._known(paths)

    async def listing(self, path: StorePath) -> Listing:
        """Raises StoreUnreadable, StorageUnavailable."""
        (listing,) = await self._known([path])
        if listing is None:
            try:
                listing = await self._workers.run(partial(scan, path, self._store))
            except OSError as error:
                raise StoreUnreadable(str(path), error.strerror or str(error)) from error
            await self._records.write(
                _key(path), await self._workers.run(listing_document, listing)
            )
            self._keep(path, listing)
        return listing

    async def forest(
        self, packages: Iterable[tuple[StorePath, int]], base: Sequence[Entry]
    ) -> Forest:
        """The packages, with their priorities, merged over ``base``.  Raises as ``listing`` does."""
        ordered = tuple(packages)
        listings = await gather(self.listing(path) for path, _ in ordered)
        trees = [
            Package(path, listing, priority)
            for (path, priority), listing in zip(ordered, listings, strict=True)
        ]
        return await self._workers.run(merge, trees, base, self._plantings.plant)

    async def _known(self, paths: Sequence[StorePath]) -> list[Listing | None]:
        known = {path: self._kept[path] for path in paths if path in self._kept}
        unknown = [path for path in paths if path not in known]
        if unknown:
            documents = await self._records.read_each([_key(path) for path in unknown], dict)
            listings = await self._workers.run(_parse_each, documents)
            for path, listing in zip(unknown, listings, strict=True):
                if listing is not None:
                    self._keep(path, listing)
                    known[path] = listing
        return [known.get(path) for path in paths]

    def _keep(self, path: StorePath, listing: Listing) -> None:
        if len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[path] = listing


def _parse_each(documents: Iterable[dict[str, object] | None]) -> list[Listing | None]:
    """Blocking."""
    return [None if document is None else _parse(document) for document in documents]


def _parse(document: dict[str, object]) -> Listing | None:
    try:
        return parse_listing(document)
    except UNREADABLE:
        return None


def _key(path: StorePath) -> Digest:
    return key_of({"format": _FORMAT, "path": path.base})
