"""Records that, once read or written, are answered from this process."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from app.builder.records.records import Records
from app.oci import Digest

T = TypeVar("T")

_LIMIT = 50_000


class RememberedRecords(Generic[T]):
    """For records that never change under their key."""

    def __init__(
        self,
        records: Records,
        *,
        parse: Callable[[dict[str, object]], T],
        document: Callable[[T], dict[str, object]],
    ) -> None:
        self._records = records
        self._parse = parse
        self._document = document
        self._known: dict[Digest, T] = {}

    async def read(self, key: Digest) -> T | None:
        known = self._known.get(key)
        if known is None:
            known = await self._records.read(key, self._parse)
            if known is not None:
                self._remember(key, known)
        return known

    async def read_each(self, keys: Sequence[Digest]) -> list[T | None]:
        """As many ``read``."""
        unknown = [key for key in keys if key not in self._known]
        found = await self._records.read_each(unknown, self._parse) if unknown else ()
        for key, value in zip(unknown, found, strict=True):
            if value is not None:
                self._remember(key, value)
        read = dict(zip(unknown, found, strict=True))
        return [self._known.get(key, read.get(key)) for key in keys]

    async def write(self, key: Digest, value: T) -> None:
        await self._records.write(key, self._document(value))
        self._remember(key, value)

    async def settle(self, key: Digest, value: T) -> T:
        """Write unless there is one in storage, whatever was known of it; returns what is."""
        settled = await self._records.create(key, self._document(value), self._parse)
        self._remember(key, settled)
        return settled

    def _remember(self, key: Digest, value: T) -> None:
        self._known.pop(key, None)
        if len(self._known) >= _LIMIT:
            del self._known[next(iter(self._known))]
        self._known[key] = value
