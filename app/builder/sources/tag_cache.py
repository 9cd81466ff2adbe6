"""What tags were found to stand for, each for its time; strangers cannot push out what moves."""

from collections import OrderedDict
from collections.abc import Callable

from app.builder.sources.revision import Revision
from app.errors import TagUnknown

# Of each kind: tags that move are as many as a source has, all others as many as anybody asks.
_LIMIT = 4096


class TagCache:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moving: OrderedDict[str, tuple[float, Revision]] = OrderedDict()
        self._others: OrderedDict[str, tuple[float, Revision | TagUnknown]] = OrderedDict()

    def read(self, tag: str) -> Revision | TagUnknown | None:
        """None if it has to be looked up."""
        for known in (self._moving, self._others):
            until, found = known.get(tag, (0.0, None))
            if found is not None and self._clock() < until:
                return found
        return None

    def __contains__(self, tag: str) -> bool:
        """Whether it was looked up, however long ago."""
        return tag in self._moving or tag in self._others

    def write(self, tag: str, found: Revision | TagUnknown, seconds: float) -> None:
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
