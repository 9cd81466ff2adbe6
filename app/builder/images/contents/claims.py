"""What packages have under one name, and where their links lead."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.builder.images.contents.file_tree import Link, Listing, Node, Tree
from app.builder.images.packing.entry import Entry, Symlink
from app.builder.nix.closure import STORE, StorePath

DEFAULT_PRIORITY = 5
STORE_PREFIX = STORE.encode() + b"/"


@dataclass(frozen=True, slots=True)
class Package:
    path: StorePath
    listing: Listing
    priority: int = DEFAULT_PRIORITY


@dataclass(frozen=True, slots=True)
class Claim:
    """A node and where it lies, relative to the store."""

    package: Package
    node: Node
    location: bytes


def targets(claims: Iterable[Claim]) -> Iterator[bytes]:
    for claim in claims:
        if isinstance(claim.node, Link) and claim.node.leads_to is not None:
            yield claim.node.leads_to


def as_tree(claim: Claim, trail: frozenset[bytes]) -> Claim | None:
    """The directory itself, or the one a link leads to; None for all else."""
    match claim.node:
        case Tree():
            return claim
        case Link(leads_to=bytes(location)) if location not in trail:
            tree = _find(claim.package, location)
            return None if tree is None else Claim(claim.package, tree, location)
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


def common_link(claims: Iterable[Claim]) -> bytes | None:
    """A target that does for all of them, if all are links.

    One link is followed where it lies.  Several that have the same target in their own
    package, such as ``lib64 -> lib``, mean the merged tree.
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
