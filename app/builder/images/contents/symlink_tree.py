"""The requested packages' trees, merged into the image's root: directories and symlinks.

Precedence when several packages provide the same name: the base files; then the package with
the lower ``meta.priority`` (5 if it has none), then the smaller name, then the smaller store
path.  Directories merge, and so do symlinks to directories where they have to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap

from app.builder.images.contents.bound import Bound
from app.builder.images.contents.claims import Package
from app.builder.images.contents.merging import Collision, Merger
from app.builder.images.contents.subtree import MakeSubtree, make_subtree, relative
from app.builder.images.contents.well_known import add_well_known
from app.builder.images.contents.writing import Written, write_out
from app.builder.images.packing.entry import Entry, Symlink
from app.system.blocking import blocking

# Names and their bytes.  A link takes some 600 bytes of memory while its layer is made.
_MOST_NAMES = 250_000
_MOST_BYTES = 64 << 20
_SHELLS = ("bash", "sh")


@dataclass(frozen=True, slots=True)
class SymlinkTree:
    """The root of an image, as entries of its layer.

    ``shells`` are the shells in bin, the preferred one first.
    """

    entries: tuple[Entry, ...]
    collisions: tuple[Collision, ...]
    shells: tuple[str, ...]


@blocking
def merge(
    packages: Iterable[Package], base: Sequence[Entry], make: MakeSubtree = make_subtree
) -> SymlinkTree:
    """Merge the packages, whose order has no effect; ``base`` are the entries of the layer below.

    Raises UnsupportedTree for more links than an image may have.
    """
    ordered = sorted(
        packages, key=lambda package: (package.priority, package.path.name, package.path)
    )
    own = {entry.name: entry for entry in base}
    bound = Bound(names=_MOST_NAMES, size=_MOST_BYTES)
    merged = Merger(own, bound).merge_roots(ordered)
    entries, collisions = write_out(merged, make)
    add_well_known(entries, own, bound)
    # Two names of packages may stand for one path, which differs from itself in nothing.
    differing = (one for one in collisions if one.kept != one.dropped)
    return SymlinkTree(
        entries=tuple(starmap(_entry, entries.items())),
        collisions=tuple(dict.fromkeys(differing)),
        shells=tuple(name for name in _SHELLS if b"bin/" + name.encode() in entries),
    )


def _entry(name: bytes, written: Written) -> Entry:
    if not isinstance(written, bytes):
        return written
    if written.startswith(b"/"):
        written = relative(name, written)
    return Symlink(name, written)
