"""Listings, each made once and remembered, and what is made of them."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from app.builder.images.contents.claims import Package
from app.builder.images.contents.file_tree import Listing, scan
from app.builder.images.contents.flat_file_tree import FlatListing, complete, flatten, unflatten
from app.builder.images.contents.subtree import SubtreeCache
from app.builder.images.contents.symlink_tree import SymlinkTree, merge
from app.builder.images.packing.entry import Entry
from app.builder.images.packing.tree import Unholdable
from app.builder.nix.closure import Closure, StorePath
from app.errors import LinksTooMany, StoreUnreadable, Unpackable
from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.concurrency import gather
from app.system.workers import Workers

# Raise the format when a listing holds something else.
LISTINGS = Kind(
    name="listings",
    format=3,
    adapter=TypeAdapter(Annotated[FlatListing, AfterValidator(complete)]),
)
# Of packages that were asked for by name; a large one takes some megabytes.
_KEPT = 64
# Names in all that are kept, of some 100 bytes of memory each.
_KEPT_NAMES = 1_000_000
# Bytes; the links to the largest packages are two megabytes.
_PLANTED = 64 << 20


class Listings:
    """A large package has tens of thousands of names: workers go through them, not the loop."""

    def __init__(
        self, *, storage: Storage, workers: Workers, store_directory: Path = Path("/nix/store")
    ) -> None:
        self._records = Records(storage=storage, kind=LISTINGS)
        self._workers = workers
        self._store = store_directory
        self._kept: dict[StorePath, Listing] = {}
        self._kept_names = 0
        self._plantings = SubtreeCache(budget=_PLANTED)

    async def has_all(self, paths: Sequence[StorePath]) -> bool:
        """Whether ``listing`` would need nothing of the store, for each."""
        return None not in await self._known(paths)

    async def listing(self, path: StorePath, closure: Closure) -> Listing:
        """``closure`` has the path's own.  Raises Unpackable, StoreUnreadable, StorageUnavailable."""
        (listing,) = await self._known([path])
        if listing is None:
            try:
                listing = await self._workers.run(partial(_scan, path, self._store, closure))
            except Unholdable as error:
                raise Unpackable(str(path), str(error)) from None
            except OSError as error:
                raise StoreUnreadable(str(path), error.strerror or str(error)) from error
            key = _key(path)
            await self._records.write_body(
                key, await self._workers.run(self._encoded, key, listing)
            )
            self._keep(path, listing)
        return listing

    async def forest(
        self, packages: Iterable[tuple[StorePath, int]], base: Sequence[Entry], closure: Closure
    ) -> SymlinkTree:
        """The packages, with their priorities, merged over ``base``; ``closure`` is all of theirs.

        Raises LinksTooMany, and as ``listing`` does.
        """
        ordered = tuple(packages)
        listings = await gather(self.listing(path, closure) for path, _ in ordered)
        trees = [
            Package(path, listing, priority)
            for (path, priority), listing in zip(ordered, listings, strict=True)
        ]
        try:
            return await self._workers.run(merge, trees, base, self._plantings.plant)
        except Unholdable as error:
            names = tuple(path.name for path, _ in ordered)
            raise LinksTooMany(names, str(error)) from None

    async def _known(self, paths: Sequence[StorePath]) -> list[Listing | None]:
        known = {path: self._kept[path] for path in paths if path in self._kept}
        unknown = [path for path in paths if path not in known]
        if unknown:
            keys = [_key(path) for path in unknown]
            bodies = await self._records.bodies(keys)
            listings = await self._workers.run(self._decoded, keys, bodies)
            for path, listing in zip(unknown, listings, strict=True):
                if listing is not None:
                    self._keep(path, listing)
                    known[path] = listing
        return [known.get(path) for path in paths]

    def _keep(self, path: StorePath, listing: Listing) -> None:
        dropped = self._kept.pop(path, None)
        self._kept_names += listing.names - (dropped.names if dropped else 0)
        self._kept[path] = listing
        while len(self._kept) > _KEPT or self._kept_names > _KEPT_NAMES:
            self._kept_names -= self._kept.pop(next(iter(self._kept))).names

    def _encoded(self, key: Digest, listing: Listing) -> bytes:
        """Blocking."""
        return self._records.encode(key, flatten(listing))

    def _decoded(
        self, keys: Sequence[Digest], bodies: Sequence[bytes | None]
    ) -> list[Listing | None]:
        """Blocking."""
        found = self._records.decode_each(keys, bodies)
        return [None if flat is None else unflatten(flat) for flat in found]


def _scan(path: StorePath, store_directory: Path, closure: Closure) -> Listing:
    """Blocking.  What the other packages of an image refer to is not part of a listing."""
    return scan(path, store_directory, [item.path for item in closure.below(path)])


def _key(path: StorePath) -> Digest:
    return LISTINGS.key(path=path.base)
