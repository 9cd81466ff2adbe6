"""A merged tree as entries of an archive."""

from app.builder.images.contents.bound import DEEPEST, LONGEST
from app.builder.images.contents.merging import Collision, Dropped, Merged, Planting
from app.builder.images.contents.subtree import Plant
from app.builder.images.packing.entry import Directory, Entry, Symlink
from app.builder.images.packing.tree import Unholdable
from app.system import threads


def write_out(merged: Merged, plant: Plant) -> tuple[dict[bytes, Entry], list[Collision]]:
    """The entries by their names, without the root's, and the collisions.

    Raises Unholdable for names that no client could unpack.
    """
    entries: dict[bytes, Entry] = {}
    collisions: list[Collision] = []
    _write(merged, b"", plant, entries, collisions)
    return entries, collisions


def _write(
    merged: Merged,
    directory: bytes,
    plant: Plant,
    entries: dict[bytes, Entry],
    collisions: list[Collision],
) -> None:
    """``directory`` ends in a slash."""
    threads.check()
    if directory.count(b"/") > DEEPEST:
        raise Unholdable(f"they are more than {DEEPEST} directories deep")
    for base, step in merged.steps:
        name = directory + base
        if len(name) > LONGEST:
            raise Unholdable(f"a name is longer than {LONGEST:,} bytes")
        match step:
            case bytes():
                entries[name] = Symlink(name, step)
            case Dropped(kept, package):
                collisions.append(Collision(name, kept, package))
            case Planting(package, tree, location):
                planted = plant(name, tree, location)
                entries[name] = planted.archived
                collisions += [Collision(below, None, package) for below in planted.left_out]
            case Merged(own=own):
                entries[name] = Directory(name) if own is None else own
                _write(step, name + b"/", plant, entries, collisions)
