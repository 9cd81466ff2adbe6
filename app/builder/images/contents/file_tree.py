"""What lies below a store path, so that images are put together without looking at the store."""

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.builder.images.contents.bound import DEEPEST, Bound
from app.builder.images.contents.links import Links
from app.builder.images.packing.tree import Unholdable
from app.builder.nix.closure import StorePath


@dataclass(frozen=True, slots=True)
class RegularFile:
    pass


# One for all: a listing has tens of thousands.
FILE = RegularFile()


@dataclass(frozen=True, slots=True)
class Link:
    """``leads_to`` is the directory it ends at, relative to the store; None for all else."""

    target: bytes
    leads_to: bytes | None


@dataclass(frozen=True, slots=True)
class Tree:
    """``names`` counts all below, ``size`` the bytes of their names as seen from here."""

    children: Mapping[bytes, "Node"]
    names: int = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        names = len(self.children)
        size = sum(map(len, self.children))
        for base, child in self.children.items():
            if isinstance(child, Tree):
                names += child.names
                size += child.size + child.names * (len(base) + 1)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "size", size)


Node = RegularFile | Link | Tree


@dataclass(frozen=True, slots=True)
class Listing:
    """``linked`` holds the directories of other store paths that links lead to."""

    root: Node
    linked: Mapping[bytes, Tree]

    @property
    def names(self) -> int:
        trees = [node for node in (self.root, *self.linked.values()) if isinstance(node, Tree)]
        return sum(tree.names for tree in trees)


# Names of one package and of what its links lead to, and their bytes: the record of a listing
# holds them all, and so does memory.
_MOST_NAMES = 500_000
_MOST_BYTES = 64 << 20
# The package's fault: it has more names in one, or links in one, than the system follows.
_UNREACHABLE = frozenset({errno.ENAMETOOLONG, errno.ELOOP})


def scan(path: StorePath, store_directory: Path, closure: Iterable[StorePath]) -> Listing:
    """Blocking.  List the names below the path, and below directories that links lead to.

    ``closure`` is the path's own: links out of it dangle in images, and what else the store
    has belongs to others.  Raises OSError, Unholdable.
    """
    scanner = _Scanner(store_directory, closure)
    try:
        return scanner.scan(path.base.encode())
    except OSError as error:
        if error.errno in _UNREACHABLE:
            raise Unholdable("a path in it is too long") from error
        raise


class _Scanner:
    def __init__(self, store_directory: Path, closure: Iterable[StorePath]) -> None:
        self._links = Links(store_directory, closure)
        self._store = self._links.store
        self._bound = Bound(names=_MOST_NAMES, size=_MOST_BYTES)
        self._wanted: list[bytes] = []

    def scan(self, own: bytes) -> Listing:
        root = self._node(self._store + own)
        linked: dict[bytes, Tree] = {}
        while self._wanted:
            directory = self._wanted.pop()
            inside = directory == own or directory.startswith(own + b"/")
            if not inside and directory not in linked:
                found = self._node(self._store + directory)
                assert isinstance(found, Tree)
                linked[directory] = found
        return Listing(root, linked)

    def _node(self, location: bytes) -> Node:
        mode = os.lstat(location).st_mode
        if stat.S_ISLNK(mode):
            return self._link(location)
        if stat.S_ISDIR(mode):
            return self._directory(location, 0)
        return FILE

    def _directory(self, location: bytes, depth: int) -> Tree:
        if depth > DEEPEST:
            raise Unholdable(f"more than {DEEPEST} directories deep")
        children: dict[bytes, Node] = {}
        with os.scandir(location) as entries:
            for entry in entries:
                self._bound.add(1, len(entry.name))
                if entry.is_symlink():
                    children[entry.name] = self._link(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    children[entry.name] = self._directory(entry.path, depth + 1)
                else:
                    children[entry.name] = FILE
        return Tree(children)

    def _link(self, location: bytes) -> Link:
        target = os.readlink(location)  # noqa: PTH115  # pathlib knows no names in bytes
        self._bound.add(0, len(target))
        leads_to = self._links.directory(location.removeprefix(self._store), target)
        if leads_to is not None:
            self._bound.add(0, len(leads_to))
            self._wanted.append(leads_to)
        return Link(target, leads_to)
