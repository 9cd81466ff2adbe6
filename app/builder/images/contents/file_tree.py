"""The names below a store path, so that images are composed without reading the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RegularFile:
    """A regular file; its content is not read."""


# One for all: a large package has tens of thousands.
FILE = RegularFile()


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link.

    ``leads_to`` is the directory at its end, relative to the store; None if it leads elsewhere.
    """

    target: bytes
    leads_to: bytes | None


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory.

    ``names`` counts all names below it; ``size`` is the bytes of their paths relative to it.
    """

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
class FileTree:
    """The names of a store path; ``linked`` are directories of other paths that links lead to."""

    root: Node
    linked: Mapping[bytes, Tree]

    @property
    def names(self) -> int:
        trees = [node for node in (self.root, *self.linked.values()) if isinstance(node, Tree)]
        return sum(tree.names for tree in trees)
