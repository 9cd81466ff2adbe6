"""All kinds of records, for commands that read every record in storage."""

from typing import Any

from app.builder.builds.catalogue import NAMES
from app.builder.builds.closures import CLOSURES
from app.builder.builds.records import BUILDS
from app.builder.evaluation.result_cache import ATTRIBUTES
from app.builder.images.contents.file_trees import FILE_TREES
from app.builder.images.packing.record import LAYERS, PATHS
from app.builder.images.profile_loading import PLANS
from app.builder.names.attributes import PACKAGES
from app.builder.sources.source import REVISIONS
from app.oci import Digest
from app.storage.records.envelope import Damaged, unseal_as
from app.storage.records.kind import Kind

_KINDS: tuple[Kind[Any], ...] = (
    ATTRIBUTES,
    BUILDS,
    CLOSURES,
    FILE_TREES,
    LAYERS,
    NAMES,
    PACKAGES,
    PATHS,
    PLANS,
    REVISIONS,
)
RECORD_KINDS: dict[str, Kind[Any]] = {kind.name: kind for kind in _KINDS}


def check_record(kind: Kind[Any], key: Digest, body: bytes) -> None:
    """Blocking.  Raise Damaged unless the bytes are a whole record of the kind under the key.

    A record of another format is whole: an earlier or later server wrote it, and finds it.
    """
    opened = unseal_as(kind.name, key, body)
    if opened.head.format != kind.format:
        return
    try:
        kind.adapter.validate_json(opened.value, strict=True)
    except ValueError:
        raise Damaged("its value is not one of its kind") from None
