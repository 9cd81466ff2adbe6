"""The keys of the steps before a build; equal keys share one job."""

from app.builder.evaluation.evaluator import Pinned, subject
from app.builder.sources.source import Source
from app.reference import Tag
from app.request import ImageRequest
from app.storage.records.kind import key_of


def tag_key(request: ImageRequest, source: Source, tag: Tag) -> str:
    """Return the key of the step that resolves a tag."""
    return str(key_of(["tag", source.name, str(tag), *_wanted(request)]))


def supply_key(request: ImageRequest, pinned: Pinned) -> str:
    """Return the key of the step that finds out what the source lacks."""
    return str(key_of(["supply", pinned.source.name, subject(pinned), *_wanted(request)]))


def _wanted(request: ImageRequest) -> tuple[object, ...]:
    system = request.system, request.one_system
    named, meta = sorted(request.named), sorted(request.meta)
    return *system, request.packages, named, meta, request.nonroot, request.few_layers
