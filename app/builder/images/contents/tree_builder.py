"""The names of one store path, collected in a pass over its entries."""

from app.builder.images.contents.bound import Bound
from app.builder.images.contents.file_tree import FILE, Link, Node, Tree
from app.builder.nix.store import File


class TreeBuilder:
    """A visitor that builds a tree.  Links are not followed here; ``links`` does so later."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._root: Node | None = None
        self._open: list[tuple[bytes, dict[bytes, Node]]] = []

    @property
    def root(self) -> Node:
        assert self._root is not None
        return self._root

    def enter(self, name: bytes) -> None:
        self._bound.add(1, len(name))
        self._open.append((name, {}))

    def leave(self) -> None:
        name, children = self._open.pop()
        self._add(name, Tree(children))

    def symlink(self, name: bytes, target: bytes) -> None:
        self._bound.add(1, len(name) + len(target))
        self._add(name, Link(target, None))

    def file(self, name: bytes, _: File) -> None:
        self._bound.add(1, len(name))
        self._add(name, FILE)

    def _add(self, name: bytes, node: Node) -> None:
        if self._open:
            self._open[-1][1][name] = node
        else:
            self._root = node
