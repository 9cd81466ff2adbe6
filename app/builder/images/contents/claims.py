"""Claims of packages to one name, and the directories that their links lead to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from app.builder.images.contents.file_tree import FileTree, Link, Node, Tree
from app.builder.images.packing.entry import Entry, Symlink
from app.builder.nix.closure import STORE_PREFIX, StorePath

DEFAULT_PRIORITY = 5


@dataclass(frozen=True, slots=True)
class Package:
    """A package of an image: its files and its priority; the lowest takes precedence."""

    path: StorePath
    file_tree: FileTree
    priority: int = DEFAULT_PRIORITY


class Claim(NamedTuple):
    """A package's node, and its location relative to the store.

    ``moved`` are claims to names in the directory by nodes from elsewhere in the package.  A tuple,
    since an image has one for each name, and a dataclass that is frozen takes twice the time.
    """

    package: Package
    node: Node
    location: bytes
    moved: Mapping[bytes, "Claim"] = MappingProxyType({})

    def children(self) -> Iterator[tuple[bytes, "Claim"]]:
        """Yield what a directory has, by name."""
        assert isinstance(self.node, Tree)
        for base, node in self.node.children.items():
            yield base, Claim(self.package, node, self.location + b"/" + base)
        yield from self.moved.items()


def targets(claims: Iterable[Claim]) -> Iterator[bytes]:
    for claim in claims:
        if isinstance(claim.node, Link) and claim.node.leads_to is not None:
            yield claim.node.leads_to


def as_tree(claim: Claim, trail: frozenset[bytes]) -> Claim | None:
    """Return the claim's directory, or the one that its link leads to; None for others.

    ``trail`` are locations that are not followed again.
    """
    match claim.node:
        case Tree():
            return claim
        case Link(leads_to=bytes(location)) if location not in trail:
            tree = _find(claim.package, location)
            return None if tree is None else Claim(claim.package, tree, location)
        case _:
            return None


def _find(package: Package, location: bytes) -> Tree | None:
    """Find a directory, given relative to the store, in the package's file tree."""
    linked = package.file_tree.linked.get(location)
    if linked is not None:
        return linked
    base, *below = location.split(b"/")
    node: Node = package.file_tree.root
    if base != package.path.base.encode():
        return None
    for name in below:
        if not isinstance(node, Tree) or name not in node.children:
            return None
        node = node.children[name]
    return node if isinstance(node, Tree) else None


def common_link(claims: Iterable[Claim]) -> bytes | None:
    """Return a target that is right for all claims, if all are links.

    A single link is replaced by a link to it.  Several links with the same target in their own
    package, such as ``lib64 -> lib``, refer to the merged tree.
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
        return STORE_PREFIX + claims[0].location
    target = targets.pop()
    return None if targets or target is None or target.startswith(b"/") else target


def is_link(claim: Claim, entry: Entry) -> bool:
    return (
        isinstance(claim.node, Link)
        and isinstance(entry, Symlink)
        and claim.node.target == entry.target
    )
