"""Where symbolic links lead, within the trees of a closure."""

from collections.abc import Callable, Iterable

from app.builder.images.contents.file_tree import Link, Node, Tree
from app.builder.nix.closure import STORE_PREFIX, StorePath

_MOST_STEPS = 40  # as many links as Linux follows


class _NoDirectory(Exception):
    """The way ends at a file, at a missing name, or outside of the closure."""


class Links:
    """Follows symbolic links, up to as many steps as Linux.

    ``tree_of`` returns what is at a store path of the closure, without following its links.
    """

    def __init__(self, closure: Iterable[StorePath], tree_of: Callable[[StorePath], Node]) -> None:
        self._closure = {path.base.encode(): path for path in closure}
        self._tree_of = tree_of

    def directory(self, link: bytes, target: bytes) -> bytes | None:
        """Return the directory at the end of the link; all are relative to the store.

        None if the link ends elsewhere, or if a step on the way is outside of the closure.
        """
        here = link.split(b"/")[:-1]
        todo: list[bytes] = []
        try:
            for _ in range(_MOST_STEPS):
                if target.startswith(b"/"):
                    here, target = [], _relative(target)
                todo += reversed(target.split(b"/"))
                found = self._walk(here, todo)
                if found is None:
                    return b"/".join(here) or None
                target = found
        except _NoDirectory:
            pass
        return None

    def node(self, names: list[bytes]) -> Node | None:
        """Return the node at a place, which is given by its names from the store directory on."""
        path = self._closure.get(names[0])
        if path is None:
            return None
        node: Node | None = self._tree_of(path)
        for name in names[1:]:
            if not isinstance(node, Tree):
                return None
            node = node.children.get(name)
        return node

    def _walk(self, here: list[bytes], todo: list[bytes]) -> bytes | None:
        """Return the target of the next link; None at the end."""
        while todo:
            name = todo.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                if not here:
                    raise _NoDirectory
                here.pop()
                continue
            here.append(name)
            match self.node(here):
                case Link(target):
                    here.pop()
                    return target
                case Tree():
                    pass
                case _:
                    raise _NoDirectory
        return None


def _relative(target: bytes) -> bytes:
    if not target.startswith(STORE_PREFIX):
        raise _NoDirectory
    return target.removeprefix(STORE_PREFIX)
