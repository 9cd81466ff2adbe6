"""Temporary roots protect store paths from Nix's garbage collector while they are packed.

They are links in a directory of this process, which Nix registers as indirect roots.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.builder.nix.closure import StorePath
from app.system.blocking import blocking
from app.system.owned_directories import OwnedDirectories
from app.system.workers import Workers


class TemporaryRoots:
    """A directory for Nix to put roots in."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0

    def next_root(self) -> Path:
        """Return a path for ``--add-root``; Nix appends numbers if it needs several."""
        self._count += 1
        return self._directory / f"root{self._count}"

    @blocking
    def paths(self) -> frozenset[StorePath]:
        return frozenset(
            StorePath.parse(str(link.readlink())) for link in self._directory.iterdir()
        )


class TemporaryRootsDirectory:
    """The directories for roots of all processes with this state directory."""

    def __init__(self, *, directory: Path, workers: Workers) -> None:
        self._directories = OwnedDirectories(parent=directory, workers=workers)

    @blocking
    def sweep(self) -> None:
        """Remove the roots of processes that have exited.  Raises StorageUnavailable."""
        self._directories.sweep()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[TemporaryRoots]:
        """Open a directory for roots.  Raises StorageUnavailable."""
        directory = await self._directories.create()
        try:
            yield TemporaryRoots(directory.path)
        finally:
            await directory.release()
