"""Temporary roots keep store paths from Nix's garbage collector while they are packed.

They are links in a directory, which Nix registers as indirect roots.  A lock beside the directory
is held by its process.  After a killed process the lock is free, and the next start removes both.
"""

import os
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from app.builder.nix.closure import StorePath
from app.system.blocking import blocking
from app.system.locks import EXCLUSIVE, take, try_exclusive
from app.system.state_directory import translate_state_errors
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
    def __init__(self, *, directory: Path, workers: Workers) -> None:
        self._directory = directory
        self._workers = workers

    @blocking
    def sweep(self) -> None:
        """Remove the roots of processes that have exited.  Raises StorageUnavailable."""
        with translate_state_errors():
            self._directory.mkdir(parents=True, exist_ok=True)
            for lock in self._directory.glob("*.lock"):
                with try_exclusive(lock) as abandoned:
                    if abandoned:
                        _remove(lock)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[TemporaryRoots]:
        """Open a directory for roots.  Raises StorageUnavailable."""
        with translate_state_errors():
            lock, descriptor = await self._workers.obtain(self._create, discard=_release)
        try:
            yield TemporaryRoots(lock.with_suffix(""))
        finally:
            # No await here: a cancelled task has to release the roots as well.
            _release((lock, descriptor))

    @blocking
    def _create(self) -> tuple[Path, int]:
        self._directory.mkdir(parents=True, exist_ok=True)
        while True:
            lock = self._directory / f"{uuid.uuid4().hex}.lock"
            descriptor = take(lock, EXCLUSIVE, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            if descriptor is not None:
                break
            # Another server's sweep removed the lock between opening and locking.
        try:
            lock.with_suffix("").mkdir()
        except BaseException:
            _release((lock, descriptor))
            raise
        return lock, descriptor


def _release(created: tuple[Path, int]) -> None:
    """Remove some links, which takes no time; a later start removes the rest."""
    lock, descriptor = created
    with suppress(OSError):
        _remove(lock)
    os.close(descriptor)


def _remove(lock: Path) -> None:
    """The caller must hold the lock."""
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)
