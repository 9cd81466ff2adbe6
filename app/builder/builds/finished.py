"""Recently pulled images, for the next pull of the same name and tag.

A build with nothing to do still reads records of each package and computes keys; a manifest that
thousands of machines pull needs neither.  An image is returned from here only while nothing that
decides it has changed: the revision of the tag, that of the base source, and the trust in the
stored blobs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from app.builder.evaluation.evaluator import Pinned
from app.builder.images.image import Built
from app.builder.sources.revision import Revision
from app.builder.sources.source import Source
from app.failure import Failure
from app.reference import LATEST_TAG, ImageReference, Tag
from app.storage.existence_cache import BlobExistenceCache, Trust
from app.system.cache import Cache
from app.telemetry.lookups import Result, count_lookups

_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """The interface of a Job that has succeeded; it has no page."""

    title: str
    image: Built
    identifier: ClassVar[str] = ""
    stage: ClassVar[str] = ""

    def result(self) -> Built:
        return self.image

    async def wait(self, seconds: float | None) -> Built:  # noqa: ARG002  # as Job.wait
        return self.image


@dataclass(frozen=True, slots=True)
class _Revisions:
    """The revisions that decided an image; ``base`` is None if the base was not needed."""

    generation: int
    own: Revision | Failure | None
    base: Revision | Failure | None


@dataclass(frozen=True, slots=True)
class _Entry:
    pull: FinishedImage
    source: Source
    revisions: _Revisions
    trust: Trust


class FinishedImages:
    """A cache of finished pulls: the image of each name and tag, with what decided it.

    ``base_of`` returns the source of packages that a source lacks; None for nowhere.
    """

    def __init__(
        self, *, existence: BlobExistenceCache, base_of: Callable[[Source], Source | None]
    ) -> None:
        self._existence = existence
        self._base_of = base_of
        self._entries: Cache[ImageReference, _Entry] = Cache(_LIMIT)

    def find(self, reference: ImageReference) -> FinishedImage | None:
        entry = self._entries.get(reference)
        if entry is not None:
            current = self._existence.is_current(entry.trust)
            if current and self._revisions(reference, entry.source) == entry.revisions:
                count_lookups("images", Result.MEMORY)
                return entry.pull
            self._entries.pop(reference)
        count_lookups("images", Result.ABSENT)
        return None

    def keep(self, reference: ImageReference, pinned: Pinned, image: Built) -> None:
        """Keep an image of the tag's present revision, if its blobs were all seen in storage."""
        revisions = self._revisions(reference, pinned.source)
        trust = self._existence.trust((*image.manifests, *image.blobs))
        if trust is not None and revisions.own == pinned.revision:
            pull = FinishedImage(f"{reference.name}:{reference.reference}", image)
            self._entries[reference] = _Entry(pull, pinned.source, revisions, trust)

    def _revisions(self, reference: ImageReference, source: Source) -> _Revisions:
        assert isinstance(reference.reference, Tag)
        base = self._base_of(source)
        return _Revisions(
            generation=source.generation,
            own=source.cached(reference.reference),
            base=None if base is None or base is source else base.cached(LATEST_TAG),
        )
