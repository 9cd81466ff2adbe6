"""Files that are being written: without a name if possible, so that a crash leaves none."""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import BinaryIO, cast

from loguru import logger

from app.errors import StorageUnavailable
from app.storage.directories import remove
from app.system.blocking import blocking
from app.system.disk import TRIAL_SIZE, reason_of, translate_disk_errors
from app.system.locks import hold, is_held

_BUFFER = 1 << 18
_STALE = 3600.0
_MODE = 0o644
# Errors of open(O_TMPFILE) and linkat(/proc/self/fd/N) on systems without them.
_NO_UNNAMED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EPERM})


class SpoolFile(FileIO):
    """A file that is being written.

    ``path`` is that of a named file; None for one without a name.
    """

    def __init__(self, descriptor: int, path: Path | None) -> None:
        super().__init__(descriptor, "w+b")
        self.path = path

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: Buffer is 3.12
        """Write all of the data, in several calls if need be."""
        rest = memoryview(data)
        with translate_disk_errors():
            while rest:
                rest = rest[super().write(rest) :]
        return len(data)

    def unlink(self) -> None:
        """Remove the name of a named file, which stays open."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None

    def close(self) -> None:
        if not self.closed:
            self.unlink()
        super().close()


NewSpool = Callable[[Path], SpoolFile]


@blocking
def unnamed(staging: Path) -> SpoolFile:
    """Open a file without a name.  Raise OSError if the file system does not have O_TMPFILE."""
    descriptor = os.open(staging, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)
    return SpoolFile(descriptor, None)


@blocking
def named(staging: Path) -> SpoolFile:
    """Open a file with a name, for file systems without O_TMPFILE; ``prepare`` removes it after a crash."""
    path = staging / f"spool-{secrets.token_hex(16)}"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _MODE)
    hold(descriptor)
    return SpoolFile(descriptor, path)


def buffered(file: SpoolFile) -> BinaryIO:
    """Return a buffered file for writes in small parts."""
    # BufferedRandom has all of BinaryIO's methods; typeshed derives it from another class.
    return cast("BinaryIO", BufferedRandom(file, _BUFFER))


@blocking
def flushed(file: BinaryIO) -> SpoolFile | None:
    """Return the spool file below a buffered one, flushed; None for another file."""
    raw = getattr(file, "raw", None)
    if not isinstance(raw, SpoolFile):
        return None
    file.flush()
    return raw


@blocking
def link(file: SpoolFile, target: Path) -> None:
    """Give a spool file a name; raises FileExistsError."""
    source = file.path or f"/proc/self/fd/{file.fileno()}"
    # Without a directory descriptor CPython calls link(2), which does not follow /proc's links.
    # Both paths are absolute, so any descriptor will do.
    os.link(source, target, src_dir_fd=file.fileno(), follow_symlinks=True)


@blocking
def prepare(staging: Path) -> NewSpool:
    """Make the directory, sweep it, and find the better kind that works there.

    A full disk is not an error: stored objects can be served.  Raise StorageUnavailable with advice
    for the operator.
    """
    try:
        staging.mkdir(parents=True, exist_ok=True)
        new_spool = _find(staging)
        _sweep(staging)
    except OSError as error:
        raise StorageUnavailable(
            f"cannot store files in {staging.parent} ({reason_of(error)}): create it on a disk that"
            f" has hard links, owned by user {os.geteuid()}, or choose another directory"
        ) from error
    try:
        attempt(new_spool, staging)
    except StorageUnavailable as error:
        logger.warning("nothing new can be stored: {}", error)
    return new_spool


@blocking
def _find(staging: Path) -> NewSpool:
    """Return the better kind of spool file that works here; only an attempt shows which."""
    try:
        attempt(unnamed, staging, size=0)
    except OSError as error:
        if error.errno not in _NO_UNNAMED:
            raise
        attempt(named, staging, size=0)
        return named
    return unnamed


@blocking
def attempt(new_spool: NewSpool, staging: Path, *, size: int = TRIAL_SIZE) -> None:
    """Store a small file and remove it.  Raise OSError, StorageUnavailable."""
    trial = staging / f"trial-{secrets.token_hex(16)}"
    with new_spool(staging) as file:
        file.write(bytes(size))
        os.fsync(file.fileno())
        link(file, trial)
    trial.unlink(missing_ok=True)


@blocking
def _sweep(staging: Path) -> None:
    """Remove files that were not written to for an hour, unless a process holds their lock.

    Younger ones may belong to another server, also where the file system has no locks.
    """
    for path in staging.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime < time.time() - _STALE and not is_held(path):
                remove(path)
