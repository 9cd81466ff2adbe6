"""Listings, each made once and remembered."""

from functools import partial
from pathlib import Path

from app.builder.closure import StorePath
from app.builder.contents.listing import Listing, listing_document, parse_listing, scan
from app.builder.records import Records, key_of
from app.builder.workers import Workers
from app.errors import StoreUnreadable
from app.oci import Digest
from app.storage.base import Storage

# Raise when a listing holds something else.
_FORMAT = 1


class Listings:
    def __init__(
        self, *, storage: Storage, workers: Workers, store_directory: Path = Path("/nix/store")
    ) -> None:
        self._records = Records(storage=storage, kind="listings")
        self._workers = workers
        self._store = store_directory

    async def has(self, path: StorePath) -> bool:
        """Whether ``listing`` would need nothing of the store."""
        return await self._records.read(_key(path), parse_listing) is not None

    async def listing(self, path: StorePath) -> Listing:
        """Raises StoreUnreadable, StorageUnavailable."""
        key = _key(path)
        listing = await self._records.read(key, parse_listing)
        if listing is None:
            try:
                listing = await self._workers.run(partial(scan, path, self._store))
            except OSError as error:
                raise StoreUnreadable(str(path), error.strerror or str(error)) from error
            await self._records.write(key, listing_document(listing))
        return listing


def _key(path: StorePath) -> Digest:
    return key_of({"format": _FORMAT, "path": path.base})
