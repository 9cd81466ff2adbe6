"""Remembered facts: small JSON documents under the hash of what they are about.

A record is written after everything it speaks of, so that a crash leaves unused blobs,
never a record that points at nothing.  A record that cannot be understood is a miss: it
was written by another version, and what it says will be found out again.
"""

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from loguru import logger

from app.errors import RegistryError
from app.oci import Digest, canonical_json
from app.storage.base import ObjectNotFound, Storage
from app.storage.keys import record as record_key

T = TypeVar("T")

# What parsers raise, theirs and ours.  Brackets without end are no document either.
UNREADABLE = (KeyError, TypeError, ValueError, RecursionError, RegistryError)


def key_of(document: object) -> Digest:
    """The key of a record about this document, which must name everything that matters."""
    return Digest.of(canonical_json(document))


class Records:
    """Records of one kind (see app.storage.keys.record)."""

    def __init__(self, *, storage: Storage, kind: str) -> None:
        self._storage = storage
        self._kind = kind

    async def read(self, key: Digest, parse: Callable[[dict[str, object]], T]) -> T | None:
        """``parse`` may raise any of UNREADABLE for what it does not know."""
        try:
            body = await self._storage.read(record_key(self._kind, key))
        except ObjectNotFound:
            return None
        return self._parsed(key, body, parse)

    async def read_each(
        self, keys: Sequence[Digest], parse: Callable[[dict[str, object]], T]
    ) -> list[T | None]:
        """As many ``read``."""
        return self.parse_each(keys, await self.bodies(keys), parse)

    async def bodies(self, keys: Sequence[Digest]) -> list[bytes | None]:
        """For ``parse_each``, where records are too large to be parsed by the event loop."""
        return await self._storage.read_each([record_key(self._kind, key) for key in keys])

    def parse_each(
        self,
        keys: Sequence[Digest],
        bodies: Sequence[bytes | None],
        parse: Callable[[dict[str, object]], T],
    ) -> list[T | None]:
        return [
            None if body is None else self._parsed(key, body, parse)
            for key, body in zip(keys, bodies, strict=True)
        ]

    async def create(
        self,
        key: Digest,
        document: dict[str, object],
        parse: Callable[[dict[str, object]], T],
    ) -> T:
        """Write unless a readable one is there; returns what is stored now."""
        name, body = record_key(self._kind, key), canonical_json(document)
        stored = await self._storage.create(name, body)
        if stored != body:
            known = self._parsed(key, stored, parse)
            if known is not None:
                return known
            await self._storage.write(name, body)
        return parse(document)

    async def write(self, key: Digest, document: dict[str, object]) -> None:
        await self.write_body(key, canonical_json(document))

    async def write_body(self, key: Digest, body: bytes) -> None:
        """For documents too large to be encoded by the event loop."""
        await self._storage.write(record_key(self._kind, key), body)

    def _parsed(
        self, key: Digest, body: bytes, parse: Callable[[dict[str, object]], T]
    ) -> T | None:
        try:
            return parse(_object(body))
        except UNREADABLE as error:
            logger.bind(kind=self._kind, key=str(key)).warning("unreadable record: {}", error)
            return None


def _object(body: bytes) -> dict[str, object]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise TypeError("not an object")
    return document
