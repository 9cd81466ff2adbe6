"""What only one package claims: the same entries in every image with the package, made once."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.builder.images.contents.file_tree import Tree
from app.builder.images.packing import tar_header as header
from app.builder.images.packing.entry import Archived, archived

# image-spec, layer.md "Whiteouts"
WHITEOUT = b".wh."


@dataclass(frozen=True, slots=True)
class Subtree:
    """``left_out`` are names that would delete others."""

    archived: Archived
    left_out: tuple[bytes, ...]


# Of a directory's name in the image, what is in it, and where that lies as links say it.
Plant = Callable[[bytes, Tree, bytes], Subtree]


def plant(name: bytes, tree: Tree, location: bytes) -> Subtree:
    tar: list[bytes] = []
    left_out: list[bytes] = []
    _walk(name + b"/", tree, location + b"/", tar, left_out)
    return Subtree(archived(name, tar), tuple(left_out))


def _walk(
    name: bytes, tree: Tree, location: bytes, tar: list[bytes], left_out: list[bytes]
) -> None:
    """Both end in a slash."""
    # Straight to bytes: this is thousands of links, and somebody waits.
    tar.append(header.directory(name, mode=0o755))
    for base in sorted(tree.children):
        child = tree.children[base]
        if base.startswith(WHITEOUT):
            left_out.append(name + base)
        elif isinstance(child, Tree):
            _walk(name + base + b"/", child, location + base + b"/", tar, left_out)
        else:
            tar.append(header.symlink(name + base, location + base))


class SubtreeCache:
    """Those used last are kept, up to ``budget`` bytes of tar; may be asked from any thread.

    A store path never changes, so where something lies says what is in it.
    """

    def __init__(self, *, budget: int) -> None:
        self._left = budget
        self._kept: OrderedDict[tuple[bytes, bytes], Subtree] = OrderedDict()
        self._lock = threading.Lock()

    def plant(self, name: bytes, tree: Tree, location: bytes) -> Subtree:
        key = (name, location)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        planted = plant(name, tree, location)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = planted
                self._left -= len(planted.archived.tar)
            while self._left < 0:
                _, dropped = self._kept.popitem(last=False)
                self._left += len(dropped.archived.tar)
        return planted
