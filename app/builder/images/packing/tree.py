"""A store path as a tar stream, which depends only on what Nix would archive.

Entries come in the order of their names' bytes, each directory before its content.  The
executable bit is the only mode.  Owners, times and hard links are left out: ``nix-store
--optimise`` makes hard links on some machines only.
"""

from app.builder.images.packing import tar_header as header
from app.builder.images.packing.blocks import BlockStream
from app.builder.nix.store import File, UnsupportedTree
from app.oci import WHITEOUT_PREFIX

_DIRECTORY_MODE = 0o555
# image-spec, layer.md "Whiteouts": such a name removes another, and cannot itself be kept.


class TreeWriter:
    """Write the entries of a store path to the stream, below ``prefix``, which ends in a slash."""

    def __init__(self, stream: BlockStream, prefix: bytes) -> None:
        self._stream = stream
        self._prefix = prefix
        self._headers = header.FileHeaders(prefix)
        self._above: list[tuple[bytes, header.FileHeaders]] = []

    def enter(self, name: bytes) -> None:
        if name.startswith(WHITEOUT_PREFIX):
            raise _whiteout()
        self._above.append((self._prefix, self._headers))
        self._prefix += name + b"/"
        self._headers = header.FileHeaders(self._prefix)
        self._stream.write(header.directory(self._prefix, mode=_DIRECTORY_MODE))

    def leave(self) -> None:
        self._prefix, self._headers = self._above.pop()

    def symlink(self, name: bytes, target: bytes) -> None:
        if name.startswith(WHITEOUT_PREFIX):
            raise _whiteout()
        self._stream.write(header.symlink(self._prefix + name, target))

    def file(self, name: bytes, file: File) -> None:
        if name.startswith(WHITEOUT_PREFIX):
            raise _whiteout()
        size, executable = file.open()
        made = self._headers.make(name, size, executable=executable)
        self._stream.write_file(made, file.readv, size)


def _whiteout() -> UnsupportedTree:
    return UnsupportedTree("a name that begins with .wh. is a whiteout in a layer")
