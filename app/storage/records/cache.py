"""Records that are kept in memory once they were read or written."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from app.oci import Digest
from app.storage.base import Storage
from app.storage.records.kind import Kind
from app.storage.records.records import Records
from app.system.cache import Cache
from app.telemetry.lookups import Result, count_lookups

T = TypeVar("T")

_LIMIT = 50_000


class RememberedRecords(Generic[T]):
    """Records that do not change under their key; the ``limit`` used last stay in memory."""

    def __init__(self, *, storage: Storage, kind: Kind[T], limit: int = _LIMIT) -> None:
        self._records = Records(storage=storage, kind=kind)
        self._kind = kind.name
        self._known: Cache[Digest, T] = Cache(limit)

    async def read(self, key: Digest) -> T | None:
        value = self.remembered(key)
        if value is None:
            (value,) = await self.read_each((key,))
        return value

    async def read_each(self, keys: Sequence[Digest]) -> list[T | None]:
        known = {key: self._known.get(key) for key in keys}
        unknown = [key for key, value in known.items() if value is None]
        count_lookups(self._kind, Result.MEMORY, len(known) - len(unknown))
        if unknown:
            found = await self._records.read_each(unknown)
            for key, value in zip(unknown, found, strict=True):
                if value is not None:
                    known[key] = self._known[key] = value
        return [known[key] for key in keys]

    def remembered(self, key: Digest) -> T | None:
        """Return the value if it is in memory."""
        value = self._known.get(key)
        count_lookups(self._kind, Result.MEMORY, value is not None)
        return value

    async def write(self, key: Digest, value: T) -> None:
        await self._records.write(key, value)
        self._known[key] = value

    async def settle(self, key: Digest, value: T) -> T:
        """Write unless a valid record is stored, whatever is in memory; return the stored value."""
        settled = await self._records.create(key, value)
        self._known[key] = settled
        return settled
