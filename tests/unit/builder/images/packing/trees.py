"""Trees on the disk for tests, and what an archive of them must list."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.programs.local_store import ClosureQuery, LocalStore

# A directory is a mapping, a file its content, a symlink a one-element tuple of its target.
Node = bytes | tuple[bytes] | Mapping[bytes, "Node"]
# Files of this name are executable.
PROGRAM = b"a-program"


def store_path(number: int, name: str) -> StorePath:
    return StorePath.parse(f"/nix/store/{number:032d}-{name}")


def alone(*paths: StorePath) -> Closure:
    """The closure of paths that refer to nothing."""
    return Closure(StoreObject(path, nar_size=0, references=()) for path in paths)


def local_store(directory: Path, *objects: StoreObject) -> LocalStore:
    """A store whose closures are those of the objects."""
    return LocalStore(directory, query=closure_query(*objects))


def closure_query(*objects: StoreObject) -> ClosureQuery:
    async def query(paths: Sequence[StorePath]) -> Closure:
        closure = Closure(objects)
        return Closure({item for path in paths for item in closure.below(path)})

    return query


def plant(location: bytes, node: Node) -> None:
    if isinstance(node, bytes):
        file = Path(os.fsdecode(location))
        file.write_bytes(node)
        if location.endswith(b"/" + PROGRAM):
            file.chmod(0o755)
    elif isinstance(node, tuple):
        os.symlink(node[0], location)  # noqa: PTH211  # pathlib knows no names in bytes
    else:
        os.mkdir(location)  # noqa: PTH102  # pathlib knows no names in bytes
        for name, child in node.items():
            plant(location + b"/" + name, child)


def plant_path(store: Path, path: StorePath, node: Node) -> StorePath:
    store.mkdir(exist_ok=True)
    plant(os.fsencode(store / path.base), node)
    return path


ODDITIES: Node = {
    b"empty": {},
    b"empty-file": b"",
    b"one-record": bytes(512),
    b"two-records": b"x" * 1024,
    b"record-and-one": b"y" * 513,
    b"n" * 100: b"name of 100",
    b"n" * 101: b"name of 101",
    b"n" * 255: b"name of 255",
    b"d" * 155: {b"e" * 99: {b"f" * 100: b"split", b"g" * 101: b"no split"}},
    b"d" * 255: {b"d" * 255: {b"deep": b"deep"}},
    "größe".encode(): b"UTF-8",
    b"\xff\xfe": {b"\x80": b"no UTF-8"},
    b"new\nline and space ": b"",
    b"a": {b"b": b"1"},
    b"a.b": b"sorts between a and a/b by bytes of the whole name",
    b"link": (b"a/b",),
    b"link-of-100": (b"t" * 100,),
    b"link-of-101": (b"t" * 101,),
    b"link-of-4000": (b"t/" * 2000,),
    b"link-no-utf8": (b"\xff",),
    b"dangling": (b"/nix/store/nothing",),
}
