"""Kinds of records: each has a type, a format, and the digests that a value refers to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from app.oci import Digest, canonical_json

T = TypeVar("T")


def no_references(_: object) -> tuple[Digest, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of record.

    ``name`` is the first part of the storage key.  Raise ``format`` when a value gets another
    shape, or when the same key would get another value.  ``references`` returns the digests of
    the blobs and manifests that a value needs; a collection keeps those.
    """

    name: str
    format: int
    adapter: TypeAdapter[T]
    references: Callable[[T], Iterable[Digest]] = no_references

    def key(self, **parts: object) -> Digest:
        """Return the key of the value that ``parts`` decide; they must be everything that does."""
        return key_of({"kind": self.name, "format": self.format, "parts": parts})


def key_of(document: object) -> Digest:
    """Return the digest of a document's canonical bytes."""
    return Digest.of(canonical_json(document))
