"""Records: typed values in storage under the hash of everything that decides them.

A record is written after everything it refers to, so that a crash leaves unused blobs, never
a record that refers to absent objects.  A record that is damaged or of another format counts as
absent: it is logged once and written again by the next pull that needs it.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from loguru import logger

from app.oci import Digest
from app.storage.base import ObjectNotFound, Storage
from app.storage.keys import record as record_key
from app.storage.records.envelope import Damaged, head_of, seal, unseal_as
from app.storage.records.kind import Kind
from app.system.cache import Cache
from app.telemetry.lookups import Result, count_lookups, count_stored

T = TypeVar("T")

# Keys of damaged records that were logged.
_NOTED = 10_000


class Records(Generic[T]):
    """The records of one kind."""

    def __init__(self, *, storage: Storage, kind: Kind[T]) -> None:
        self._storage = storage
        self._kind = kind
        self._noted: Cache[Digest, None] = Cache(_NOTED)

    async def read(self, key: Digest) -> T | None:
        """Return the value, or None without a valid record.  Raise StorageUnavailable."""
        try:
            body = await self._storage.read(record_key(self._kind.name, key))
        except ObjectNotFound:
            body = None
        (value,) = self.decode_each((key,), (body,))
        return value

    async def read_each(self, keys: Sequence[Digest]) -> list[T | None]:
        return self.decode_each(keys, await self.bodies(keys))

    async def bodies(self, keys: Sequence[Digest]) -> list[bytes | None]:
        """Return stored bytes for ``decode_each``; large values are decoded by a worker."""
        return await self._storage.read_each([record_key(self._kind.name, key) for key in keys])

    def decode_each(self, keys: Sequence[Digest], bodies: Sequence[bytes | None]) -> list[T | None]:
        found = [
            None if body is None else self.decode(key, body)
            for key, body in zip(keys, bodies, strict=True)
        ]
        absent = sum(value is None for value in found)
        count_lookups(self._kind.name, Result.ABSENT, absent)
        count_lookups(self._kind.name, Result.STORAGE, len(found) - absent)
        return found

    async def create(self, key: Digest, value: T) -> T:
        """Write the value unless a valid record is stored; return the stored value."""
        name, body = record_key(self._kind.name, key), self.encode(key, value)
        stored = await self._storage.create(name, body)
        if stored != body:
            known = self.decode(key, stored)
            if known is not None:
                return known
            await self._storage.write(name, body)
        count_stored("records", len(body))
        return value

    async def write(self, key: Digest, value: T) -> None:
        await self.write_body(key, self.encode(key, value))

    async def write_body(self, key: Digest, body: bytes) -> None:
        """Write what ``encode`` returned; large values are encoded by a worker."""
        await self._storage.write(record_key(self._kind.name, key), body)
        count_stored("records", len(body))
        self._noted.pop(key)

    def encode(self, key: Digest, value: T) -> bytes:
        """Return the stored form of a value; call it in a worker for large values."""
        kind = self._kind
        head = head_of(kind.name, kind.format, key, kind.references(value))
        return seal(head, kind.adapter.dump_json(value))

    def decode(self, key: Digest, body: bytes) -> T | None:
        """Return None if the body is not a valid record of the key; in a worker for large values."""
        try:
            opened = unseal_as(self._kind.name, key, body)
            if opened.head.format != self._kind.format:
                raise Damaged(f"it has format {opened.head.format}")
            # A record of a later version may have the same format and still not validate.
            return self._kind.adapter.validate_json(opened.value, strict=True)
        except ValueError as error:
            self._note(key, error)
            return None

    def _note(self, key: Digest, error: ValueError) -> None:
        if key not in self._noted:
            self._noted[key] = None
            logger.bind(kind=self._kind.name, key=str(key)).warning(
                "a stored record is damaged and will be made again: {}", error
            )
