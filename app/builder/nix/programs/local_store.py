"""Store paths in a directory of this machine, usually ``/nix/store``."""

import errno
import os
import stat
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path

from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.store import (
    MOST_NAMES_IN_DIRECTORY,
    ReadBuffers,
    UnreadablePath,
    UnsupportedTree,
    Visitor,
    check_names,
)
from app.system import threads
from app.system.blocking import blocking

ClosureQuery = Callable[[Sequence[StorePath]], Awaitable[Closure]]

_BY_NAME = attrgetter("name")
# O_NONBLOCK: opening a pipe must not wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CLOSED = -1


class LocalStore:
    """The paths in a store directory.

    ``query`` returns the closure of paths, which Nix's database has.
    """

    def __init__(self, directory: Path, *, query: ClosureQuery) -> None:
        self._directory = os.fsencode(directory) + b"/"
        self._query = query

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        return await self._query(paths)

    def fetching(self, _: StorePath) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def announcing(self, _: Callable[[StorePath], None]) -> AbstractContextManager[None]:
        return nullcontext()

    @blocking
    def visit(self, path: StorePath, visitor: Visitor) -> None:
        """Visit a path on the disk.  Raises UnreadablePath, UnsupportedTree, Stopped."""
        try:
            _visit(self._directory, path.base.encode(), visitor)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise UnsupportedTree("a path in it is too long") from error
            raise UnreadablePath(error.strerror or str(error)) from error

    @blocking
    def visit_names(self, path: StorePath, visitor: Visitor) -> None:
        self.visit(path, visitor)


@dataclass(slots=True)
class _Directory:
    """A directory during a visit.

    ``location`` ends in a slash; ``entries`` are those not yet visited.
    """

    location: bytes
    entries: Iterator["os.DirEntry[bytes]"]


def _visit(above: bytes, name: bytes, visitor: Visitor) -> None:
    mode = os.lstat(above + name).st_mode
    if stat.S_ISLNK(mode):
        visitor.symlink(name, os.readlink(above + name))  # noqa: PTH115  # names are bytes
    elif stat.S_ISDIR(mode):
        visitor.enter(name)
        _visit_directory(above + name + b"/", visitor)
    else:
        _File().visit(above + name, name, visitor)


def _visit_directory(location: bytes, visitor: Visitor) -> None:
    file = _File()
    stack = [_read(location)]
    while stack:
        here = stack[-1]
        for entry in here.entries:
            name = entry.name
            if entry.is_symlink():
                visitor.symlink(name, os.readlink(here.location + name))  # noqa: PTH115
            elif entry.is_dir(follow_symlinks=False):
                visitor.enter(name)
                stack.append(_read(here.location + name + b"/"))
                break
            else:
                file.visit(here.location + name, name, visitor)
        else:
            stack.pop()
            visitor.leave()


def _read(location: bytes) -> _Directory:
    threads.check()
    with os.scandir(location) as entries:
        ordered = sorted(islice(entries, MOST_NAMES_IN_DIRECTORY + 1), key=_BY_NAME)
    check_names(len(ordered))
    return _Directory(location, iter(ordered))


class _File:
    """One object for all files of a path, since making one for each takes time."""

    __slots__ = ("_descriptor", "_flags", "_location")

    def __init__(self) -> None:
        self._location = b""
        self._descriptor = _CLOSED
        self._flags = _READ | getattr(os, "O_NOATIME", 0)

    def visit(self, location: bytes, name: bytes, visitor: Visitor) -> None:
        self._location = location
        try:
            visitor.file(name, self)
        finally:
            if self._descriptor != _CLOSED:
                os.close(self._descriptor)
                self._descriptor = _CLOSED

    def open(self) -> tuple[int, bool]:
        # Opening and closing a file take three microseconds, and the Python around them as many.
        try:
            self._descriptor = os.open(self._location, self._flags)
        except PermissionError:
            # O_NOATIME is for the owner: Nix's stores belong to root, servers often do not.
            if self._flags == _READ:
                raise
            self._flags = _READ
            self._descriptor = os.open(self._location, self._flags)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnsupportedTree("something is neither a file, a directory nor a symlink")
        return status.st_size, bool(status.st_mode & stat.S_IXUSR)

    def readv(self, buffers: ReadBuffers) -> int:
        return os.readv(self._descriptor, buffers)
