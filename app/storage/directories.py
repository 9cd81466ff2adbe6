"""The directories of a store: created when they are needed, and again after a removal."""

import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loguru import logger

from app.system.blocking import blocking, blocking_class
from app.system.directory_trees import remove_tree

_NO_DIRECTORY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
# Errors of rename(2) if the path is gone, or another process has put one of the other kind there.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})


@contextmanager
def no_directory() -> Iterator[None]:
    """Suppress the errors of a directory that is missing or is not a directory."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_DIRECTORY:
            raise


@blocking_class
class Directories:
    """Methods raise OSError."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging
        self._made: set[Path] = set()
        self._restoring = threading.Lock()

    def opened(self, path: Path) -> int:
        """Return a descriptor of a directory below the root, made and synced if need be."""
        if path in self._made:
            with no_directory():
                return _opened(path)
        for part in (*reversed(path.relative_to(self._root).parents), path.relative_to(self._root)):
            self._make(self._root / part)
        for ancestor in path.relative_to(self._root).parents:
            sync(self._root / ancestor)
        self._made.add(path)
        return _opened(path)

    def restore_staging(self) -> None:
        """Create the staging directory again."""
        logger.warning("the storage's staging directory is missing; it is created again")
        self._root.mkdir(parents=True, exist_ok=True)
        self._make(self._staging)

    def set_aside(self, path: Path, *, is_directory: bool) -> None:
        """Move away what has the name of an object or of a directory; a start an hour later removes it.

        A path of the other kind stays, because another process has just made it.
        """
        aside = self._staging / f"aside-{secrets.token_hex(16)}"
        # rename(2) puts a directory in the place of an empty directory only, and a file in the
        # place of a file only.
        if is_directory:
            aside.mkdir()
        else:
            aside.touch(exist_ok=False)
        try:
            path.rename(aside)
        except OSError as error:
            remove(aside)
            if error.errno not in _GONE:
                raise
            return
        logger.warning("{} is in the way of an object and was moved to {}", path.name, aside)
        os.utime(aside, follow_symlinks=False)

    def _make(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._restoring:
            try:
                path.mkdir(exist_ok=True)
            except FileExistsError:  # not a directory
                if path == self._root:
                    raise
                self._clear(path)
                path.mkdir(exist_ok=True)

    def _clear(self, path: Path) -> None:
        if path == self._staging:
            with suppress(FileNotFoundError, IsADirectoryError):
                path.unlink()
        else:
            self.set_aside(path, is_directory=False)


@blocking
def remove(path: Path) -> None:
    """Remove a file or a whole directory, if it is there."""
    if stat.S_ISDIR(path.lstat().st_mode):
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


@blocking
def sync(directory: Path) -> None:
    """Force the directory's entries to the disk."""
    descriptor = _opened(directory)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@blocking
def _opened(directory: Path) -> int:
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
