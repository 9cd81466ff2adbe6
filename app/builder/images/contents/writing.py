"""A merged tree as entries of an archive."""

from app.builder.images.contents.bound import DEEPEST, LONGEST
from app.builder.images.contents.merging import Collision, Dropped, Merged, SoleDirectory
from app.builder.images.contents.subtree import MakeSubtree
from app.builder.images.packing.entry import Directory, Entry
from app.builder.nix.store import UnsupportedTree
from app.system import threads

# Bytes are the target of a link.
Written = Entry | bytes


def write_out(merged: Merged, make: MakeSubtree) -> tuple[dict[bytes, Written], list[Collision]]:
    """Return the entries by their names, without the root's, and the collisions.

    Raises UnsupportedTree for names that no client could unpack.
    """
    entries: dict[bytes, Written] = {}
    collisions: list[Collision] = []
    _write(merged, b"", make, entries, collisions)
    return entries, collisions


def _write(
    merged: Merged,
    directory: bytes,
    make: MakeSubtree,
    entries: dict[bytes, Written],
    collisions: list[Collision],
) -> None:
    """Write what is in a merged directory; ``directory`` is its name with a slash at the end."""
    threads.check()
    if directory.count(b"/") > DEEPEST:
        raise UnsupportedTree(f"they are more than {DEEPEST} directories deep")
    for base, step in merged.steps:
        name = directory + base
        if len(name) > LONGEST:
            raise UnsupportedTree(f"a name is longer than {LONGEST:,} bytes")
        match step:
            case bytes():
                entries[name] = step
            case Dropped(kept, package):
                collisions.append(Collision(name, kept, package))
            case SoleDirectory(package, tree, location):
                subtree = make(name, tree, location)
                entries[name] = subtree.archived
                collisions += [Collision(below, None, package) for below in subtree.left_out]
            case Merged(own=own):
                entries[name] = Directory(name) if own is None else own
                _write(step, name + b"/", make, entries, collisions)
