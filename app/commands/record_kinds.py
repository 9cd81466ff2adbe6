"""All kinds of records, for commands that read every record in storage."""

from typing import Any

from app.builder.builds.catalogue import TAGS
from app.builder.builds.closures import CLOSURES
from app.builder.builds.contents_record import CONTENTS
from app.builder.builds.recent import RECENT
from app.builder.builds.records import BUILDS, INDEXES
from app.builder.evaluation.result_cache import ATTRIBUTES
from app.builder.images.contents.file_trees import FILE_TREES
from app.builder.images.packing.record import LAYERS, PATHS
from app.builder.images.profile_loading import PLANS
from app.builder.names.attributes import ATTRIBUTE_NAMES
from app.builder.sources.source import REVISIONS
from app.storage.records.kind import Kind

_KINDS: tuple[Kind[Any], ...] = (
    ATTRIBUTES,
    BUILDS,
    CLOSURES,
    CONTENTS,
    FILE_TREES,
    INDEXES,
    LAYERS,
    ATTRIBUTE_NAMES,
    TAGS,
    PATHS,
    PLANS,
    RECENT,
    REVISIONS,
)
RECORD_KINDS: dict[str, Kind[Any]] = {kind.name: kind for kind in _KINDS}

# Kinds of earlier versions, which this version does not use.
FORMER_KINDS = frozenset({"names", "packages"})
