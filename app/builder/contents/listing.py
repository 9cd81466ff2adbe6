"""What lies below a store path, so that images are put together without looking at the store."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.builder.closure import StorePath
from app.builder.packing.tree import Unholdable


@dataclass(frozen=True, slots=True)
class RegularFile:
    pass


# One for all: a listing has tens of thousands.
_FILE = RegularFile()


@dataclass(frozen=True, slots=True)
class Link:
    """``leads_to`` is the directory it ends at, relative to the store; None for all else."""

    target: bytes
    leads_to: bytes | None


@dataclass(frozen=True, slots=True)
class Tree:
    children: Mapping[bytes, "Node"]


Node = RegularFile | Link | Tree


@dataclass(frozen=True, slots=True)
class Listing:
    """``linked`` holds the directories of other store paths that links lead to."""

    root: Node
    linked: Mapping[bytes, Tree]


# Nix itself unpacks no deeper archive than 64 directories, since 2026.
_DEEPEST = 200


def scan(path: StorePath, store_directory: Path) -> Listing:
    """Blocking.  Raises OSError, Unholdable."""
    store = os.path.realpath(os.fsencode(store_directory)) + b"/"
    own = path.base.encode()
    wanted: list[bytes] = []
    root = _scan(store + own, store, wanted)
    linked: dict[bytes, Tree] = {}
    while wanted:
        directory = wanted.pop()
        inside = directory == own or directory.startswith(own + b"/")
        if not inside and directory not in linked:
            found = _scan(store + directory, store, wanted)
            assert isinstance(found, Tree)
            linked[directory] = found
    return Listing(root, linked)


def _scan(location: bytes, store: bytes, wanted: list[bytes]) -> Node:
    mode = os.lstat(location).st_mode
    if stat.S_ISLNK(mode):
        return _scan_link(location, store, wanted)
    if stat.S_ISDIR(mode):
        return _scan_directory(location, store, wanted, 0)
    return _FILE


def _scan_directory(location: bytes, store: bytes, wanted: list[bytes], depth: int) -> Tree:
    if depth > _DEEPEST:
        raise Unholdable(f"more than {_DEEPEST} directories deep")
    children: dict[bytes, Node] = {}
    with os.scandir(location) as entries:
        for entry in entries:
            if entry.is_symlink():
                children[entry.name] = _scan_link(entry.path, store, wanted)
            elif entry.is_dir(follow_symlinks=False):
                children[entry.name] = _scan_directory(entry.path, store, wanted, depth + 1)
            else:
                children[entry.name] = _FILE
    return Tree(children)


def _scan_link(location: bytes, store: bytes, wanted: list[bytes]) -> Link:
    target = os.readlink(location)  # noqa: PTH115  # pathlib knows no names in bytes
    leads_to = None
    # Loops and links that dangle are no directories.
    if os.path.isdir(location):  # noqa: PTH112  # pathlib knows no names in bytes
        directory = os.path.realpath(location)
        if directory.startswith(store):
            leads_to = directory.removeprefix(store)
            wanted.append(leads_to)
    return Link(target, leads_to)


def listing_document(listing: Listing) -> dict[str, object]:
    return {
        "root": _document(listing.root),
        "linked": {_text(name): _document(tree) for name, tree in listing.linked.items()},
    }


def parse_listing(document: dict[str, object]) -> Listing:
    """Raises KeyError, TypeError or ValueError."""
    linked = {}
    for name, value in _mapping(document["linked"]).items():
        tree = _parse(value)
        if not isinstance(tree, Tree):
            raise TypeError(f"not a directory: {name!r}")
        linked[_name(name)] = tree
    return Listing(_parse(document["root"]), linked)


def _document(node: Node) -> object:
    """A directory is an object, a link an array of its target and what it leads to, a file true."""
    match node:
        case RegularFile():
            return True
        case Link(target, leads_to):
            return [_text(target)] if leads_to is None else [_text(target), _text(leads_to)]
        case Tree(children):
            return {_text(name): _document(child) for name, child in children.items()}


def _parse(value: object) -> Node:
    match value:
        case True:
            return _FILE
        case [str(target)]:
            return Link(_name(target), None)
        case [str(target), str(leads_to)]:
            return Link(_name(target), _name(leads_to))
        case dict():
            return Tree({_name(name): _parse(child) for name, child in value.items()})
        case _:
            raise TypeError(f"neither file, link nor directory: {value!r}")


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"not an object: {value!r}")
    return value


# JSON holds characters, names are bytes: Latin-1 has one character for each.
def _text(name: bytes) -> str:
    return name.decode("latin-1")


def _name(text: str) -> bytes:
    return text.encode("latin-1")
