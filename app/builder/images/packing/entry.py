"""Archive entries in memory, for the layers that are not store paths."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from app.builder.images.packing import tar_header as header
from app.builder.images.packing.blocks import BlockStream
from app.builder.nix.closure import STORE
from app.oci import Digest

ROOT = b"."
# Every layer begins with these directories (codec.py), so they are left out.
_STORE = STORE.removeprefix("/").encode()
_ABOVE_PATHS = frozenset({_STORE, _STORE.rpartition(b"/")[0]})


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of an image.

    ``name`` is relative to the image's root, without a slash at its end; ROOT is the root.
    """

    name: bytes
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of an image, with its content in memory.

    ``digest`` is that of the content, made once: the largest files are the same in all images.
    """

    name: bytes
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    digest: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.content).digest())


class Symlink(NamedTuple):
    """A symbolic link of an image.

    A tuple, since most entries are links, and a dataclass that is frozen takes twice the time.
    """

    name: bytes
    target: bytes


@dataclass(frozen=True, slots=True)
class Archived:
    """A directory and everything below it as bytes of an archive, with their digest."""

    name: bytes
    tar: bytes
    digest: bytes


Entry = Directory | File | Symlink | Archived


def archived(name: bytes, parts: Iterable[bytes]) -> Archived:
    tar = b"".join(parts)
    return Archived(name, tar, hashlib.sha256(tar).digest())


def archive_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries in the order of a walk; missing directories are added, 0755.

    Raises ValueError for a name that repeats, or is below an entry that is not a directory.
    """
    tree: dict[bytes, Entry] = {}
    for entry in entries:
        if entry.name in tree:
            raise ValueError(f"twice in one layer: {entry.name!r}")
        if entry.name not in _ABOVE_PATHS:
            tree[entry.name] = entry
    checked: set[bytes] = set()
    for name in tuple(tree):
        below, parent = name, name[: max(name.rfind(b"/"), 0)]
        if parent in checked:
            continue
        checked.add(parent)
        # An entry that is in the tree has parents, or will get them in this loop.
        while parent and parent not in tree and parent not in _ABOVE_PATHS:
            tree[parent] = Directory(parent)
            below, parent = parent, parent.rpartition(b"/")[0]
        if parent in tree and not isinstance(tree[parent], Directory):
            raise ValueError(f"{below!r} lies below {parent!r}, which is not a directory")
    return tuple(sorted(tree.values(), key=_order))


def write_entries(stream: BlockStream, entries: Iterable[Entry]) -> None:
    for entry in entries:
        stream.write(_tar(entry))
        if isinstance(entry, File):
            # Apart from its header: the largest have hundreds of kilobytes.
            stream.write(entry.content)
            stream.write(header.padding(len(entry.content)))


def entries_digest(entries: Iterable[Entry]) -> Digest:
    """Return a digest of the entries in their order; different sequences have different input."""
    return Digest("sha256", hashlib.sha256(b"".join(map(_identity, entries))).hexdigest())


def _identity(entry: Entry) -> bytes:
    match entry:
        case Symlink(name, target):  # most entries
            return b"l%d %d:%b%b" % (len(name), len(target), name, target)
        case Archived(digest=inner):
            return b"a%b" % inner
        case Directory(name, mode, uid, gid):
            return b"d%d %d %d %d:%b" % (mode, uid, gid, len(name), name)
        case File(name, _, mode, uid, gid, digest=inner):
            return b"f%d %d %d %d:%b%b" % (mode, uid, gid, len(name), name, inner)


def _tar(entry: Entry) -> bytes:
    """Return the entry, of a file its header."""
    match entry:
        case Symlink(name, target):  # most entries
            return header.symlink(name, target)
        case Archived(tar=tar):
            return tar
        case Directory(name, mode, uid, gid):
            return header.directory(name + b"/", mode=mode, uid=uid, gid=gid)
        case File(name, content, mode, uid, gid):
            return header.file(name, len(content), mode=mode, uid=uid, gid=gid)


def _order(entry: Entry) -> bytes:
    # No name has a zero byte, which sorts before all others as the end of a name does.
    return b"" if entry.name == ROOT else entry.name.replace(b"/", b"\0")
