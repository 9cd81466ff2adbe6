"""Move files of a package if the image has a link in place of their directory.

The files go into the directory that the link leads to.
"""

import posixpath
from collections.abc import Iterator, Mapping

from app.builder.images.contents.claims import Claim
from app.builder.images.contents.file_tree import Tree
from app.builder.images.packing.entry import Directory, Entry, Symlink

_EMPTY = Tree({})


def directory_links(base: Mapping[bytes, Entry]) -> dict[bytes, bytes]:
    """Return the names of links to directories, with the directories' names."""
    found = {}
    for name, entry in base.items():
        if isinstance(entry, Symlink):
            target = posixpath.normpath(posixpath.dirname(name) + b"/" + entry.target).lstrip(b"/")
            if isinstance(base.get(target), Directory):
                found[name] = target
    return found


def move(root: Claim, moves: Mapping[bytes, bytes]) -> Iterator[Claim]:
    """Yield the package's root without the names in ``moves``, and these where they belong."""
    moved = []
    for name, target in moves.items():
        claim = _find(root, name.split(b"/"))
        if claim is not None:
            root = _without(root, name.split(b"/"))
            moved.append(_below(claim, target.split(b"/")))
    yield root
    yield from moved


def _find(claim: Claim, names: list[bytes]) -> Claim | None:
    for name in names:
        if not isinstance(claim.node, Tree) or name not in claim.node.children:
            return None
        node = claim.node.children[name]
        claim = Claim(claim.package, node, claim.location + b"/" + name)
    return claim


def _without(claim: Claim, names: list[bytes]) -> Claim:
    return claim._replace(node=_tree_without(claim.node, names))


def _tree_without(node: object, names: list[bytes]) -> Tree:
    assert isinstance(node, Tree)
    first, *rest = names
    children = dict(node.children)
    child = children.pop(first)
    if rest:
        children[first] = _tree_without(child, rest)
    return Tree(children)


def _below(claim: Claim, names: list[bytes]) -> Claim:
    """Return a claim to a directory that has only ``names``, one in the other, and the claim."""
    for name in reversed(names):
        claim = Claim(claim.package, _EMPTY, b"", {name: claim})
    return claim
