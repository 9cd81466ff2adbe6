"""Revisions of tags, each with an expiry time.

Queries for any number of other tags do not evict tags that move.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.builder.sources.revision import Revision
from app.failure import Failure
from app.system.cache import Cache

# For tags that move, and for all others: clients can query any number of commits and unknown tags.
_LIMIT = 4096


class _Entry(NamedTuple):
    found: Revision | Failure
    until: float


class TagCache:
    """Expired entries are kept: they show that the tag was resolved before."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moving: Cache[str, _Entry] = Cache(_LIMIT)
        self._others: Cache[str, _Entry] = Cache(_LIMIT)

    def read(self, tag: str) -> Revision | Failure | None:
        """Return None for a tag that is not cached, or has expired."""
        entry = self._moving.get(tag) or self._others.get(tag)
        return entry.found if entry and self._clock() < entry.until else None

    def __contains__(self, tag: str) -> bool:
        """Return whether the tag was resolved before, also if that has expired."""
        return tag in self._moving or tag in self._others

    def write(self, tag: str, found: Revision | Failure, seconds: float) -> None:
        self._moving.pop(tag)
        self._others.pop(tag)
        moves = isinstance(found, Revision) and found.moves
        cache = self._moving if moves else self._others
        cache[tag] = _Entry(found, self._clock() + seconds)

    def clear(self) -> None:
        self._moving.clear()
        self._others.clear()
