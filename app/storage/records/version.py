"""Which version of the server wrote a stored record: this one, an earlier one or a later one."""

import json
from enum import Enum, auto
from typing import Any

from app.oci import Digest, canonical_json
from app.storage.records.envelope import Damaged, unseal_as
from app.storage.records.kind import Kind
from app.system.blocking import blocking


class RecordVersion(Enum):
    """Which version of the server wrote a record."""

    CURRENT = auto()
    EARLIER = auto()  # not read by this version; safe to delete
    LATER = auto()  # not read by this version; a newer server may use it


@blocking
def record_version(kind: Kind[Any], key: Digest, body: bytes) -> RecordVersion:
    """Return who can read the record that is stored as ``kind`` under ``key``.  Raise Damaged."""
    if _is_unsealed(body):
        return RecordVersion.EARLIER
    opened = unseal_as(kind.name, key, body)
    if opened.head.format != kind.format:
        is_earlier = opened.head.format < kind.format
        return RecordVersion.EARLIER if is_earlier else RecordVersion.LATER
    try:
        kind.adapter.validate_json(opened.value, strict=True)
    except ValueError:
        raise Damaged("its value is not one of its kind") from None
    return RecordVersion.CURRENT


def _is_unsealed(body: bytes) -> bool:
    """Return whether this is a record of the first versions: a canonical JSON object, unsealed."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(document, dict)
        and bool(document)
        and "checksum" not in document
        and canonical_json(document) == body
    )
