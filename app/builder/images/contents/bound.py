"""How large a tree may be that is held in memory."""

from app.builder.nix.store import UnsupportedTree
from app.system import threads

# Of one directory below another.  Nix itself unpacks no deeper archive than 64, since 2026.
DEEPEST = 200
# Linux takes no longer name for a file, so no client could unpack it.
LONGEST = 4095


class Bound:
    """A budget of names (files, links and directories), and of bytes in those names."""

    def __init__(self, *, names: int, size: int) -> None:
        self._names = names
        self._size = size
        self._names_left = names
        self._size_left = size

    def add(self, names: int, size: int) -> None:
        """Count names and bytes.  Raises UnsupportedTree, and Stopped if cancelled."""
        threads.check()
        self._names_left -= names
        self._size_left -= size
        if self._names_left < 0:
            raise UnsupportedTree(f"they are more than {self._names:,} files and directories")
        if self._size_left < 0:
            raise UnsupportedTree(f"their names have more than {self._size >> 20} MiB")
