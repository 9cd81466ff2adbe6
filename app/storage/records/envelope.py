"""The bytes of a stored record: one line that describes and seals it, then the value.

The first line is canonical JSON with the record's kind, format and key, the digests that the
value refers to, and a checksum.  The checksum covers all of these and the value's bytes, so a
record that was changed, cut or copied to another key is recognised as damaged.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from app.oci import Digest, canonical_json


class Damaged(ValueError):
    """The bytes are not a whole record of this kind, format and key; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a record, without its checksum."""

    kind: str
    format: int
    key: Digest
    references: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A record whose checksum is correct."""

    head: Head
    value: bytes


_HEAD = TypeAdapter(Head)


def seal(head: Head, value: bytes) -> bytes:
    """Return the record's bytes."""
    document = _HEAD.dump_python(head, mode="json")
    document["checksum"] = str(Digest.of(canonical_json(document) + b"\n" + value))
    return canonical_json(document) + b"\n" + value


def unseal(body: bytes) -> Opened:
    """Return the head and the value's bytes.  Raise Damaged."""
    line, newline, value = body.partition(b"\n")
    try:
        head = _HEAD.validate_json(line)
    except ValidationError:
        raise Damaged("it has no valid first line") from None
    # Sealing again is the check: equal bytes have an equal checksum and an equal first line.
    if not newline or seal(head, value) != body:
        raise Damaged("its checksum does not match")
    return Opened(head, value)


def unseal_as(kind: str, key: Digest, body: bytes) -> Opened:
    """Return what was stored as ``kind`` under ``key``.  Raise Damaged."""
    opened = unseal(body)
    if (opened.head.kind, opened.head.key) != (kind, key):
        raise Damaged(f"it is the record {opened.head.kind}/{opened.head.key.hex}")
    return opened


def head_of(kind: str, format_: int, key: Digest, references: Iterable[Digest]) -> Head:
    """Return the head of a new record; references are sorted, each once."""
    return Head(kind, format_, key, tuple(sorted(set(references))))
