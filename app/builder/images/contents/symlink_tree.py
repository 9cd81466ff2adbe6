"""The requested packages' trees, merged into the image's root: directories and symlinks.

Precedence when several packages provide the same name: the base files; then the package with
the lower ``meta.priority`` (5 if it has none), then the smaller name, then the smaller store
path.  Directories merge, and so do symlinks to directories where they have to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.builder.images.contents.bound import Bound
from app.builder.images.contents.claims import Package
from app.builder.images.contents.merging import Collision, Merger
from app.builder.images.contents.subtree import MakeSubtree, make_subtree
from app.builder.images.contents.writing import write_out
from app.builder.images.packing.entry import Entry, Symlink
from app.system.blocking import blocking

# Names and their bytes.  A link takes some 600 bytes of memory while its layer is made.
_MOST_NAMES = 250_000
_MOST_BYTES = 64 << 20
_WELL_KNOWN = (
    (b"bin/sh", (b"bin/bash", b"bin/dash")),
    (b"usr/bin/env", (b"bin/env",)),
)


@dataclass(frozen=True, slots=True)
class SymlinkTree:
    """``has_shell``: whether there is a bin/bash."""

    entries: tuple[Entry, ...]
    collisions: tuple[Collision, ...]
    has_shell: bool


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
    merged = Merger(own, Bound(names=_MOST_NAMES, size=_MOST_BYTES)).merge_roots(ordered)
    entries, collisions = write_out(merged, make)
    _add_well_known(entries)
    return SymlinkTree(
        entries=tuple(entries.values()),
        collisions=tuple(collisions),
        has_shell=b"bin/bash" in entries,
    )


def _add_well_known(entries: dict[bytes, Entry]) -> None:
    """Add the names of ``env`` and ``sh`` that scripts rely on, if the image has the programs."""
    for name, programs in _WELL_KNOWN:
        found = next((entries[program] for program in programs if program in entries), None)
        if name not in entries and isinstance(found, Symlink):
            entries[name] = Symlink(name, found.target)
