"""How large a tree may be that is held in memory."""

from app.builder.images.packing.tree import Unholdable
from app.system import threads

# Of one directory below another.  Nix itself unpacks no deeper archive than 64, since 2026.
DEEPEST = 200
# Linux takes no longer name for a file, so no client could unpack it.
LONGEST = 4095


class Bound:
    """So many files, links and directories, whose names have so many bytes together."""

    def __init__(self, *, names: int, size: int) -> None:
        self._names = names
        self._size = size
        self._names_left = names
        self._size_left = size

    def add(self, names: int, size: int) -> None:
        """Raises Unholdable above either; Stopped if the work is no longer wanted."""
        threads.check()
        self._names_left -= names
        self._size_left -= size
        if self._names_left < 0:
            raise Unholdable(f"they are more than {self._names:,} files and directories")
        if self._size_left < 0:
            raise Unholdable(f"their names have more than {self._size >> 20} MiB")
