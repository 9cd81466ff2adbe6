"""The requested packages' trees, merged into the image's root: directories and symlinks.

Who keeps a name that several claim: the base files; then the package of the lower
``meta.priority`` (5 if it has none), then of the smaller name, then of the smaller store
path.  Directories merge, and so do symlinks to directories where they have to.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.builder.closure import STORE, StorePath
from app.builder.contents.listing import Link, Listing, Node, Tree
from app.builder.contents.planting import WHITEOUT, Plant, plant
from app.builder.packing.entry import Directory, Entry, Symlink

DEFAULT_PRIORITY = 5
_STORE = STORE.encode() + b"/"
# For Nix's builders, not for users of the package.
_SKIPPED = frozenset({b"nix-support"})
# The store, and what every container runtime mounts.
_RESERVED = frozenset({b"nix", b"dev", b"proc", b"sys"})
_WELL_KNOWN = (
    (b"bin/sh", (b"bin/bash", b"bin/dash")),
    (b"usr/bin/env", (b"bin/env",)),
)
# The image's own names go into these, and are looked for in them.
_OPEN = frozenset({b"bin", b"usr", b"usr/bin"})


@dataclass(frozen=True, slots=True)
class Package:
    path: StorePath
    listing: Listing
    priority: int = DEFAULT_PRIORITY


@dataclass(frozen=True, slots=True)
class Collision:
    """``kept`` is None where the image's own files keep the name."""

    name: bytes
    kept: StorePath | None
    dropped: StorePath

    def __str__(self) -> str:
        name = self.name.decode(errors="backslashreplace")
        keeper = "the image" if self.kept is None else self.kept.name
        return f"/{name} is {keeper}'s, not {self.dropped.name}'s"


@dataclass(frozen=True, slots=True)
class Forest:
    """``has_shell`` is whether there is a bin/bash."""

    entries: tuple[Entry, ...]
    collisions: tuple[Collision, ...]
    has_shell: bool


def merge(packages: Iterable[Package], base: Sequence[Entry], plant: Plant = plant) -> Forest:
    """Independent of the packages' order; ``base`` are the entries of the layer below."""
    merger = _Merger({entry.name: entry for entry in base}, plant)
    ordered = sorted(
        packages, key=lambda package: (package.priority, package.path.name, package.path)
    )
    merger.merge(b"", [branch for package in ordered for branch in _trunk(package)], frozenset())
    entries = merger.entries
    _add_well_known(entries)
    return Forest(
        entries=tuple(entries.values()),
        collisions=tuple(merger.collisions),
        has_shell=b"bin/bash" in entries,
    )


@dataclass(frozen=True, slots=True)
class _Branch:
    """A node and where it lies, relative to the store."""

    package: Package
    node: Node
    location: bytes


def _trunk(package: Package) -> Iterator[_Branch]:
    """Nothing for a store path that is a single file."""
    branch = _Branch(package, package.listing.root, package.path.base.encode())
    tree = _as_tree(branch, frozenset())
    if tree is not None:
        yield tree


class _Merger:
    def __init__(self, base: Mapping[bytes, Entry], plant: Plant) -> None:
        self.base = base
        self.plant = plant
        self.entries: dict[bytes, Entry] = {}
        self.collisions: list[Collision] = []

    def merge(self, directory: bytes, trees: Sequence[_Branch], trail: frozenset[bytes]) -> None:
        """``trail`` are the locations we are below of; a link back to one is not followed."""
        trail |= {tree.location for tree in trees}
        claims: dict[bytes, list[_Branch]] = {}
        for tree in trees:
            assert isinstance(tree.node, Tree)
            for base, node in tree.node.children.items():
                if not directory and base in _SKIPPED:
                    continue
                branch = _Branch(tree.package, node, tree.location + b"/" + base)
                claims.setdefault(base, []).append(branch)
        for base in sorted(claims):
            name = directory + base
            if (not directory and base in _RESERVED) or base.startswith(WHITEOUT):
                self._drop(name, None, claims[base])
            else:
                self._settle(name, claims[base], trail)

    def _settle(self, name: bytes, claims: Sequence[_Branch], trail: frozenset[bytes]) -> None:
        own = self.base.get(name)
        if own is None and len(claims) == 1:
            self._plant(name, claims[0].node, claims[0].location, claims[0].package)
            return
        if own is not None and not isinstance(own, Directory):
            self._drop(name, None, [claim for claim in claims if not _is_link(claim, own)])
            return
        trees = [_as_tree(claim, trail) for claim in claims]
        if own is None and trees[0] is None:
            self.entries[name] = Symlink(name, _STORE + claims[0].location)
            self._drop(name, claims[0].package.path, claims[1:])
            return
        keeper = claims[0].package.path if own is None else None
        pairs = list(zip(claims, trees, strict=True))
        self._drop(name, keeper, [claim for claim, tree in pairs if tree is None])
        kept = [(claim, tree) for claim, tree in pairs if tree is not None]
        if not kept:
            return
        if own is None and (link := _common_link(claim for claim, _ in kept)):
            self.entries[name] = Symlink(name, link)
            return
        self.entries[name] = Directory(name) if own is None else own
        self.merge(name + b"/", [tree for _, tree in kept], trail)

    def _plant(self, name: bytes, node: Node, location: bytes, package: Package) -> None:
        """What nobody else claims: most of a large package."""
        if not isinstance(node, Tree):
            self.entries[name] = Symlink(name, _STORE + location)
        elif name in _OPEN:
            self.entries[name] = Directory(name)
            self.merge(name + b"/", [_Branch(package, node, location)], frozenset())
        else:
            planted = self.plant(name, node, _STORE + location)
            self.entries[name] = planted.archived
            for below in planted.left_out:
                self.collisions.append(Collision(below, None, package.path))

    def _drop(self, name: bytes, keeper: StorePath | None, losers: Iterable[_Branch]) -> None:
        self.collisions += [Collision(name, keeper, loser.package.path) for loser in losers]


def _as_tree(branch: _Branch, trail: frozenset[bytes]) -> _Branch | None:
    """The directory itself, or the one a link leads to; None for all else."""
    match branch.node:
        case Tree():
            return branch
        case Link(leads_to=bytes(location)) if location not in trail:
            tree = _find(branch.package, location)
            return None if tree is None else _Branch(branch.package, tree, location)
        case _:
            return None


def _find(package: Package, location: bytes) -> Tree | None:
    """What the listing says of a directory, relative to the store."""
    linked = package.listing.linked.get(location)
    if linked is not None:
        return linked
    base, *below = location.split(b"/")
    node: Node = package.listing.root
    if base != package.path.base.encode():
        return None
    for name in below:
        if not isinstance(node, Tree) or name not in node.children:
            return None
        node = node.children[name]
    return node if isinstance(node, Tree) else None


def _common_link(claims: Iterable[_Branch]) -> bytes | None:
    """A target that does for all of them, if all are links.

    One link is followed where it lies.  Several that say the same of their own package, such
    as ``lib64 -> lib``, say it of the merged tree.
    """
    claims = tuple(claims)
    targets = set()
    for claim in claims:
        if not isinstance(claim.node, Link):
            return None
        own = claim.package.path.base.encode()
        inside = claim.node.leads_to is not None and claim.node.leads_to.split(b"/")[0] == own
        targets.add(claim.node.target if inside else None)
    if len(claims) == 1:
        return _STORE + claims[0].location
    target = targets.pop()
    return None if targets or target is None or target.startswith(b"/") else target


def _is_link(branch: _Branch, entry: Entry) -> bool:
    return (
        isinstance(branch.node, Link)
        and isinstance(entry, Symlink)
        and branch.node.target == entry.target
    )


def _add_well_known(entries: dict[bytes, Entry]) -> None:
    """What scripts take for granted, if the image has the program: ``env`` and ``sh``."""
    for name, programs in _WELL_KNOWN:
        found = next((entries[program] for program in programs if program in entries), None)
        if name not in entries and isinstance(found, Symlink):
            entries[name] = Symlink(name, found.target)
