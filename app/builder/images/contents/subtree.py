"""The entries of a directory that one package alone has; every image with the package has them."""

from collections.abc import Callable
from dataclasses import dataclass

from app.builder.images.contents.bound import LONGEST
from app.builder.images.contents.file_tree import Tree
from app.builder.images.packing import tar_header as header
from app.builder.images.packing.entry import Archived, archived
from app.oci import WHITEOUT_PREFIX
from app.system.cache import Cache


@dataclass(frozen=True, slots=True)
class Subtree:
    """The archive entries of a directory and of all that is in it.

    ``left_out`` are names that clients would read as whiteouts (image-spec, layer.md).
    """

    archived: Archived
    left_out: tuple[bytes, ...]


# Takes a directory's name in the image, what is in it, and its location as an absolute path.
MakeSubtree = Callable[[bytes, Tree, bytes], Subtree]


def make_subtree(name: bytes, tree: Tree, location: bytes) -> Subtree:
    tar: list[bytes] = []
    left_out: list[bytes] = []
    _walk(name + b"/", tree, location + b"/", tar, left_out)
    return Subtree(archived(name, tar), tuple(left_out))


def _walk(
    name: bytes, tree: Tree, location: bytes, tar: list[bytes], left_out: list[bytes]
) -> None:
    """Append the entries of a directory.  ``name`` and ``location`` end in a slash."""
    # Made as bytes at once: these are thousands of links, and a client waits.
    tar.append(header.directory(name, mode=0o755))
    for base in sorted(tree.children):
        child = tree.children[base]
        if base.startswith(WHITEOUT_PREFIX):
            left_out.append(name + base)
        elif isinstance(child, Tree):
            _walk(name + base + b"/", child, location + base + b"/", tar, left_out)
        else:
            tar.append(header.symlink(name + base, relative(name, location + base)))


def relative(name: bytes, target: bytes) -> bytes:
    """Return the absolute path ``target`` as the link ``name`` has it.

    Some programs that unpack layers refuse links to absolute paths; and a link that is relative
    also works where the image's root is not the container's.
    """
    climbing = b"../" * name.count(b"/") + target[1:]
    return climbing if len(climbing) <= LONGEST else target


class SubtreeCache:
    """Subtrees up to ``budget`` bytes of tar, the last used first; may be used by any thread.

    A store path never changes, so a location determines what is in it.
    """

    def __init__(self, *, budget: int) -> None:
        self._cache: Cache[tuple[bytes, bytes], Subtree] = Cache(budget, size_of=_size)

    def make(self, name: bytes, tree: Tree, location: bytes) -> Subtree:
        """Return ``make_subtree`` of the arguments, from the cache if it is there."""
        key = (name, location)
        known = self._cache.get(key)
        if known is None:
            known = self._cache[key] = make_subtree(name, tree, location)
        return known


def _size(subtree: Subtree) -> int:
    return len(subtree.archived.tar)
