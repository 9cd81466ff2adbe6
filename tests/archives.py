"""Trees as Nix archives, and archives as trees, for tests."""

from collections.abc import Mapping

from app.builder.nix.nar import encode
from app.builder.nix.store import File
from tests.unit.builder.images.packing.trees import PROGRAM, Node


def archive_of(node: Node) -> bytes:
    """What ``nix-store --dump`` writes of a tree; files called ``PROGRAM`` are executable."""
    return encode(b"nix-archive-1") + _encoded(node, b"")


def _encoded(node: Node, name: bytes) -> bytes:
    if isinstance(node, bytes):
        executable = (b"executable", b"") if name == PROGRAM else ()
        return encode(b"(", b"type", b"regular", *executable, b"contents", node, b")")
    if isinstance(node, tuple):
        return encode(b"(", b"type", b"symlink", b"target", *node, b")")
    entries = [
        encode(b"entry", b"(", b"name", base, b"node") + _encoded(node[base], base) + encode(b")")
        for base in sorted(node)
    ]
    return encode(b"(", b"type", b"directory") + b"".join(entries) + encode(b")")


class TreeReader:
    """A visitor that keeps everything: ``root`` with the contents, ``names`` in their order."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.names: list[bytes] = []
        self.programs: set[bytes] = set()
        self._open: list[tuple[bytes, dict[bytes, Node]]] = []

    def enter(self, name: bytes) -> None:
        self.names.append(name)
        self._open.append((name, {}))

    def leave(self) -> None:
        name, children = self._open.pop()
        self._add(name, children)

    def file(self, name: bytes, file: File) -> None:
        self.names.append(name)
        size, is_executable = file.open()
        content, beyond = bytearray(size), bytearray(1)
        assert file.readv((content, beyond)) == size
        if is_executable:
            self.programs.add(name)
        self._add(name, bytes(content))

    def symlink(self, name: bytes, target: bytes) -> None:
        self.names.append(name)
        self._add(name, (target,))

    def _add(self, name: bytes, node: Node) -> None:
        if self._open:
            assert name not in self._open[-1][1]
            self._open[-1][1][name] = node
        else:
            assert self.root is None
            self.root = node


def names_of(node: Node, name: bytes) -> list[bytes]:
    """The names of a tree in the order of a pass."""
    if not isinstance(node, Mapping):
        return [name]
    return [name] + [deep for base in sorted(node) for deep in names_of(node[base], base)]
