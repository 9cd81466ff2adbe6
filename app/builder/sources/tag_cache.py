"""Revisions of tags, each with an expiry time.

Queries for any number of other tags do not evict tags that move.
"""

from collections import OrderedDict
from collections.abc import Callable

from app.builder.sources.revision import Revision
from app.errors import Failure

# For tags that move, and for all others: clients can query any number of commits and unknown tags.
_LIMIT = 4096


class TagCache:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moving: OrderedDict[str, tuple[float, Revision]] = OrderedDict()
        self._others: OrderedDict[str, tuple[float, Revision | Failure]] = OrderedDict()

    def read(self, tag: str) -> Revision | Failure | None:
        """Return None for a tag that is not cached, or has expired."""
        for known in (self._moving, self._others):
            until, found = known.get(tag, (0.0, None))
            if found is not None and self._clock() < until:
                return found
        return None

    def __contains__(self, tag: str) -> bool:
        """Whether the tag was resolved before, expired or not."""
        return tag in self._moving or tag in self._others

    def write(self, tag: str, found: Revision | Failure, seconds: float) -> None:
        self._moving.pop(tag, None)
        self._others.pop(tag, None)
        until = self._clock() + seconds
        if isinstance(found, Revision) and found.moves:
            self._moving[tag] = (until, found)
        else:
            self._others[tag] = (until, found)
        for known in (self._moving, self._others):
            if len(known) > _LIMIT:
                known.popitem(last=False)

    def clear(self) -> None:
        self._moving.clear()
        self._others.clear()
