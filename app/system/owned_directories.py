"""Directories that belong to one process, and are removed after it.

A lock beside each directory is held by its process.  After a killed process the lock is free, and
the next start removes both.
"""

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.system import threads
from app.system.blocking import blocking
from app.system.directory_trees import remove_tree
from app.system.locks import EXCLUSIVE, take, try_exclusive
from app.system.state_directory import translate_state_errors
from app.system.workers import Workers


@dataclass(frozen=True, slots=True)
class OwnedDirectory:
    """A directory of this process, which only the server's user can read.

    ``descriptor`` holds the lock.
    """

    path: Path
    descriptor: int

    @blocking
    def exists(self) -> bool:
        """Return whether the directory and its lock are there."""
        return self.path.is_dir() and self.path.with_suffix(".lock").exists()

    async def release(self) -> None:
        """Remove the directory, also if the task is cancelled; a later sweep removes the rest."""
        await threads.finish(partial(_release, self))


class OwnedDirectories:
    """The directories of all processes below one parent."""

    def __init__(self, *, parent: Path, workers: Workers) -> None:
        self._parent = parent
        self._workers = workers

    @blocking
    def sweep(self) -> None:
        """Remove the directories of processes that have exited.  Raises StorageUnavailable."""
        with translate_state_errors():
            self._parent.mkdir(parents=True, exist_ok=True)
            for lock in self._parent.glob("*.lock"):
                with try_exclusive(lock) as abandoned:
                    if abandoned:
                        _remove(lock)

    async def create(self) -> OwnedDirectory:
        """Return an empty directory, which the caller must release.  Raises StorageUnavailable."""
        with translate_state_errors():
            return await self._workers.obtain(self._create, discard=_release)

    @blocking
    def _create(self) -> OwnedDirectory:
        self._parent.mkdir(parents=True, exist_ok=True)
        while True:
            lock = self._parent / f"{uuid.uuid4().hex}.lock"
            descriptor = take(lock, EXCLUSIVE, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            if descriptor is not None:
                break
            # Another server's sweep removed the lock between opening and locking.
        created = OwnedDirectory(lock.with_suffix(""), descriptor)
        try:
            created.path.mkdir(mode=0o700)
        except BaseException:
            _release(created)
            raise
        return created


@blocking
def write_private(file: Path, text: str) -> None:
    """Write a file that only the server's user can read, unless it exists.

    Raises StorageUnavailable.
    """
    with translate_state_errors():
        if file.exists():
            return
        for directory in (file.parents[1], file.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = file.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text)
        unfinished.replace(file)


@blocking
def _release(directory: OwnedDirectory) -> None:
    with suppress(OSError):
        _remove(directory.path.with_suffix(".lock"))
    os.close(directory.descriptor)


@blocking
def _remove(lock: Path) -> None:
    """The caller must hold the lock."""
    remove_tree(lock.with_suffix(""))
    lock.unlink(missing_ok=True)
