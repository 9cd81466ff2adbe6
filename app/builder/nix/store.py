"""The door to store paths: the closure of paths, and one ordered pass over each path.

A pass calls a visitor for every entry in the order of a Nix archive: names sorted by their bytes,
a directory before its content.  A file's content is readable while its entry is visited.  A disk
and a stream can both keep this order, so a visitor works with either.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from typing import Protocol, TypeVar

from app.builder.nix.closure import Closure, StorePath
from app.system.blocking import blocking

T = TypeVar("T")

# Linux takes no longer path, so no tree on a disk has a deeper directory.
DEEPEST_DIRECTORY = 2048
MOST_NAMES_IN_DIRECTORY = 1_000_000

ReadBuffers = Sequence[bytearray | memoryview]


class UnsupportedTree(Exception):
    """A tree that no image can hold.  The cause is the package, not the store."""


class UnreadablePath(Exception):
    """A store path that is missing, damaged, or changed while it was read."""


class VisitAgain(UnreadablePath):
    """The source of a path failed during the visit; another visit uses another source."""


@blocking
def repeated(visit: Callable[[], T]) -> T:
    """Return the result of a visit; repeat it from its start after VisitAgain."""
    while True:
        with suppress(VisitAgain):
            return visit()


def check_names(count: int) -> None:
    """Raise UnsupportedTree if a directory may not have this many names."""
    if count > MOST_NAMES_IN_DIRECTORY:
        raise UnsupportedTree(f"more than {MOST_NAMES_IN_DIRECTORY:,} names in one directory")


def check_depth(depth: int) -> None:
    """Raise UnsupportedTree if a directory may not be this deep."""
    if depth >= DEEPEST_DIRECTORY:
        raise UnsupportedTree(f"more than {DEEPEST_DIRECTORY:,} directories deep")


class File(Protocol):
    """A regular file, valid until the visitor's ``file`` returns."""

    def open(self) -> tuple[int, bool]:
        """Return the size, and whether the file is executable.  Call once, before ``readv``."""

    def readv(self, buffers: ReadBuffers) -> int:
        """Fill the buffers in order, and return the number of bytes read.

        The buffers are not full only where the content ends.
        """


class Visitor(Protocol):
    """Takes the entries of one store path.  The first entry is the path itself, by its base name.

    A visitor may raise OSError for what it reads, and UnsupportedTree.
    """

    def enter(self, name: bytes) -> None:
        """Start a directory: the entries until its ``leave`` are in it."""

    def leave(self) -> None:
        """End the directory entered last."""

    def file(self, name: bytes, file: File) -> None:
        """Take a regular file.  Content that is not read is skipped."""

    def symlink(self, name: bytes, target: bytes) -> None: ...


class StoreReader(Protocol):
    """The part of a store that packing and the merging of packages use."""

    def fetching(self, path: StorePath) -> AbstractAsyncContextManager[None]:
        """Enter before a visit that waits for its turn, and leave after it.

        A store behind a network begins to fetch the path, and enters when a visit would hardly
        have to wait for it.
        """

    def announcing(self, found: Callable[[StorePath], None]) -> AbstractContextManager[None]:
        """Call ``found`` with each path that can be visited before its closure is known.

        A store behind a network does so for paths of the caller's job, while the context lasts.
        """

    @blocking
    def visit(self, path: StorePath, visitor: Visitor) -> None:
        """Call the visitor for each entry of the path.

        Raises UnreadablePath, UnsupportedTree, and Stopped after a cancellation; VisitAgain, which
        stores with several sources raise a bounded number of times for a path; DownloadFailed
        for a path that a binary cache does not send, and StorageUnavailable without disk space.
        """

    @blocking
    def visit_names(self, path: StorePath, visitor: Visitor) -> None:
        """Do the same with files that cannot be opened; it is cheap after a visit of the path."""


class Store(StoreReader, Protocol):
    """A store with the closures of its paths."""

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        """Return the closure of valid paths.  Raises StoreUnavailable."""
