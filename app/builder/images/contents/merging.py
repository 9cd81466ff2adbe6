"""Merge the directories that several packages have under one name.

The result is a graph: directories that are reached under several names, through links to
directories, are merged once.  ``writing`` turns it into entries.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.builder.images.contents.bound import DEEPEST, Bound
from app.builder.images.contents.claims import (
    Claim,
    Package,
    as_tree,
    common_link,
    is_link,
    targets,
)
from app.builder.images.contents.file_tree import Tree
from app.builder.images.contents.moving import directory_links, move
from app.builder.images.packing.entry import Directory, Entry
from app.builder.nix.closure import STORE_PREFIX, StorePath
from app.builder.nix.store import UnsupportedTree
from app.oci import WHITEOUT_PREFIX

# Files for Nix's builders, not for users of the package.
_SKIPPED = frozenset({b"nix-support"})
# The store, and the mounts of every container runtime.
_RESERVED = frozenset({b"nix", b"dev", b"proc", b"sys"})


@dataclass(frozen=True, slots=True)
class Collision:
    """A name that several packages provide, and the two store paths that differ in it.

    ``kept`` is None where the image's own files keep the name.
    """

    name: bytes
    kept: StorePath | None
    dropped: StorePath

    def __str__(self) -> str:
        name = self.name.decode(errors="backslashreplace")
        keeper = "the image" if self.kept is None else self.kept.name
        return f"/{name} is {keeper}'s, not {self.dropped.name}'s"


@dataclass(frozen=True, slots=True)
class SoleDirectory:
    """A directory that only one package has."""

    package: StorePath
    tree: Tree
    location: bytes


@dataclass(frozen=True, slots=True)
class Dropped:
    """A name that the image does not have, because another entry has precedence."""

    kept: StorePath | None
    package: StorePath


@dataclass(slots=True)
class Merged:
    """A directory's names in order; ``own`` is the image's own entry for it, if there is one.

    ``names`` and ``size`` are what ``Bound`` counts for all names below, relative to here.
    ``sought`` are the locations that links below lead to: the directories above in the image
    decide which of them are followed.
    """

    own: Directory | None
    steps: list[tuple[bytes, "Step"]] = field(default_factory=list)
    names: int = 0
    size: int = 0
    sought: set[bytes] = field(default_factory=set)


# Bytes are a link's target.
Step = bytes | Dropped | SoleDirectory | Merged


class Merger:
    """Merges packages over the image's own entries, within a bound."""

    def __init__(self, base: Mapping[bytes, Entry], bound: Bound) -> None:
        self._base = base
        self._bound = bound
        self._seen: dict[tuple[tuple[StorePath, bytes], ...], Merged] = {}

    def merge_roots(self, packages: Iterable[Package]) -> Merged:
        """Merge packages given in order of precedence.  Raises UnsupportedTree beyond the bound."""
        moves = directory_links(self._base)
        roots = [
            claim for package in packages for root in _root(package) for claim in move(root, moves)
        ]
        return self._merge(None, b"", roots, frozenset())

    def _merge(
        self,
        own: Directory | None,
        directory: bytes,
        trees: Sequence[Claim],
        trail: frozenset[bytes],
    ) -> Merged:
        """Merge the trees that packages have at one directory of the image.

        ``directory`` ends in a slash.  ``trail`` has the locations of the directories above, which
        are not followed again.
        """
        if directory.count(b"/") > DEEPEST:
            raise UnsupportedTree(f"they are more than {DEEPEST} directories deep")
        # Directories into which the image puts no name of its own are the same under every name.
        alike = own is None and bool(directory)
        key = tuple((tree.package.path, tree.location) for tree in trees)
        known = self._seen.get(key) if alike else None
        if known is not None and known.sought.isdisjoint(trail):
            self._bound.add(known.names, known.size + known.names * len(directory))
            return known
        merged = Merged(own)
        below = trail.union(tree.location for tree in trees)
        for base, claims in _claims(directory, trees):
            if (not directory and base in _RESERVED) or base.startswith(WHITEOUT_PREFIX):
                self._drop(merged, directory, base, None, claims)
            else:
                self._settle(merged, directory, base, claims, below)
        if alike and merged.sought.isdisjoint(trail):
            self._seen[key] = merged
        return merged

    def _settle(
        self,
        merged: Merged,
        directory: bytes,
        base: bytes,
        claims: Sequence[Claim],
        trail: frozenset[bytes],
    ) -> None:
        name = directory + base
        own = self._base.get(name)
        if own is None and len(claims) == 1:
            self._settle_single(merged, directory, base, claims[0])
            return
        if own is not None and not isinstance(own, Directory):
            self._drop(merged, directory, base, None, [c for c in claims if not is_link(c, own)])
            return
        merged.sought.update(targets(claims))
        trees = [as_tree(claim, trail) for claim in claims]
        if own is None and trees[0] is None:
            self._add(merged, directory, base, STORE_PREFIX + claims[0].location)
            self._drop(merged, directory, base, claims[0].package.path, claims[1:])
            return
        keeper = claims[0].package.path if own is None else None
        pairs = list(zip(claims, trees, strict=True))
        lost = [claim for claim, tree in pairs if tree is None]
        self._drop(merged, directory, base, keeper, lost)
        kept = [(claim, tree) for claim, tree in pairs if tree is not None]
        if not kept:
            return
        if own is None and (link := common_link(claim for claim, _ in kept)):
            self._add(merged, directory, base, link)
            return
        below = self._merge(own, name + b"/", [tree for _, tree in kept], trail)
        self._add(merged, directory, base, below)

    def _settle_single(self, merged: Merged, directory: bytes, base: bytes, claim: Claim) -> None:
        """Settle a name that one package alone claims, which is the common case."""
        if not isinstance(claim.node, Tree):
            self._add(merged, directory, base, STORE_PREFIX + claim.location)
        else:
            sole = SoleDirectory(claim.package.path, claim.node, STORE_PREFIX + claim.location)
            self._add(merged, directory, base, sole)

    def _drop(
        self,
        merged: Merged,
        directory: bytes,
        base: bytes,
        keeper: StorePath | None,
        losers: Iterable[Claim],
    ) -> None:
        for loser in losers:
            self._add(merged, directory, base, Dropped(keeper, loser.package.path))

    def _add(self, merged: Merged, directory: bytes, base: bytes, step: Step) -> None:
        names, size = 1, len(base)
        match step:
            case bytes():
                size += len(step)
            case SoleDirectory(tree=tree, location=location):
                names += tree.names
                size = names * (len(base) + len(location) + 2) + 2 * tree.size
            case Merged():
                # Its own names are counted already.
                merged.names += step.names
                merged.size += step.size + step.names * (len(base) + 1)
                merged.sought |= step.sought
            case Dropped():
                pass
        merged.steps.append((base, step))
        merged.names += names
        merged.size += size
        self._bound.add(names, size + names * len(directory))


def _root(package: Package) -> Iterator[Claim]:
    """Yield the package's tree, and nothing for a store path that is a single file."""
    claim = Claim(package, package.file_tree.root, package.path.base.encode())
    tree = as_tree(claim, frozenset())
    if tree is not None:
        yield tree


def _claims(directory: bytes, trees: Iterable[Claim]) -> Iterator[tuple[bytes, list[Claim]]]:
    """Yield each name in the trees with the claims to it, in the names' order."""
    claims: dict[bytes, list[Claim]] = {}
    for tree in trees:
        for base, claim in tree.children():
            if directory or base not in _SKIPPED:
                claims.setdefault(base, []).append(claim)
    for base in sorted(claims):
        yield base, claims[base]
