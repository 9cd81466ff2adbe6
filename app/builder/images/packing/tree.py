"""A store path as a tar stream: a function of what Nix would put into its NAR, of nothing else.

So: entries in the order of their names' bytes, each directory before its content, the
executable bit as the only mode, no owners, no times, and no hard links, which
``nix-store --optimise`` makes on one machine and not on another.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from app.builder.images.packing import tar_header as header
from app.builder.images.packing.blocks import BlockStream
from app.system import threads

_BY_NAME = attrgetter("name")
# O_NONBLOCK: opening a pipe must not wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_DIRECTORY_MODE = 0o555
# image-spec, layer.md "Whiteouts": such a name removes another, and cannot itself be kept.
_WHITEOUT = b".wh."


class Unholdable(Exception):
    """Says what it is that no image can hold: the package's fault, not the disk's."""


class TreeWriter:
    """Blocking; raises OSError for what cannot be read or changes meanwhile, and Unholdable."""

    def __init__(self, stream: BlockStream) -> None:
        self._stream = stream
        self._flags = _READ | getattr(os, "O_NOATIME", 0)

    def write(self, location: bytes, name: bytes) -> None:
        """``location`` in the file system, as ``name`` in the archive."""
        mode = os.lstat(location).st_mode
        if stat.S_ISLNK(mode):
            self._write_symlink(location, name)
        elif stat.S_ISDIR(mode):
            self._write_directory(location, name)
        else:
            above, slash, base = name.rpartition(b"/")
            self._write_file(location, header.FileHeaders(above + slash), base)

    def _write_directory(self, location: bytes, name: bytes) -> None:
        stack = [self._open_directory(location + b"/", name + b"/")]
        while stack:
            here = stack[-1]
            for entry in here.entries:
                base = entry.name
                if base.startswith(_WHITEOUT):
                    raise Unholdable("a name that begins with .wh. is a whiteout in a layer")
                if entry.is_symlink():
                    self._write_symlink(here.location + base, here.name + base)
                elif entry.is_dir(follow_symlinks=False):
                    below = base + b"/"
                    stack.append(self._open_directory(here.location + below, here.name + below))
                    break
                else:
                    self._write_file(here.location + base, here.headers, base)
            else:
                stack.pop()

    def _open_directory(self, location: bytes, name: bytes) -> "_Directory":
        threads.check()
        self._stream.write(header.directory(name, mode=_DIRECTORY_MODE))
        with os.scandir(location) as entries:
            ordered = iter(sorted(entries, key=_BY_NAME))
        return _Directory(location, name, header.FileHeaders(name), ordered)

    def _write_symlink(self, location: bytes, name: bytes) -> None:
        target = os.readlink(location)  # noqa: PTH115  # pathlib knows no names in bytes
        self._stream.write(header.symlink(name, target))

    def _write_file(self, location: bytes, headers: header.FileHeaders, base: bytes) -> None:
        # Three microseconds are opening and closing, three are Python: nothing else is worth it.
        try:
            descriptor = os.open(location, self._flags)
        except PermissionError:
            # O_NOATIME is for the owner: Nix's stores belong to root, servers often do not.
            if self._flags == _READ:
                raise
            self._flags = _READ
            descriptor = os.open(location, self._flags)
        try:
            status = os.fstat(descriptor)
            mode, size = status.st_mode, status.st_size
            if not stat.S_ISREG(mode):
                raise Unholdable("something is neither a file, a directory nor a symlink")
            made = headers.make(base, size, executable=bool(mode & stat.S_IXUSR))
            self._stream.write_file(made, descriptor, size)
        finally:
            os.close(descriptor)


@dataclass(slots=True)
class _Directory:
    """Half walked: ``entries`` are those to come."""

    location: bytes
    name: bytes
    headers: header.FileHeaders
    entries: Iterator["os.DirEntry[bytes]"]
