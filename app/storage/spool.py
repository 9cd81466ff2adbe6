"""Files that are being written: without a name where the system can, so that a crash leaves none."""

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
from app.system.disk import TRIAL_SIZE, translate_disk_errors

_BUFFER = 1 << 18
_STALE = 3600.0
_MODE = 0o644
# What open(O_TMPFILE) and linkat(/proc/self/fd/N) say where they are not to be had.
_NO_UNNAMED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EPERM})


class SpoolFile(FileIO):
    """``name`` is the path of a named file, or the descriptor's number of an unnamed one."""

    def __init__(self, descriptor: int, path: Path | None) -> None:
        super().__init__(descriptor, "w+b")
        self.path = path

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: Buffer is 3.12
        """All of it, whatever the system takes at a time."""
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
    """Raises OSError where the file system has no O_TMPFILE."""
    descriptor = os.open(staging, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)
    return SpoolFile(descriptor, None)


@blocking
def named(staging: Path) -> SpoolFile:
    """For file systems without O_TMPFILE; ``prepare`` removes what a crash leaves."""
    path = staging / f"spool-{secrets.token_hex(16)}"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _MODE)
    return SpoolFile(descriptor, path)


def buffered(file: SpoolFile) -> BinaryIO:
    """For who writes in parts: it asks the system where it is at every turn."""
    # BufferedRandom has all of BinaryIO's methods; typeshed derives it from another class.
    return cast("BinaryIO", BufferedRandom(file, _BUFFER))


@blocking
def flushed(file: BinaryIO) -> SpoolFile | None:
    """The file below, with all that was written to it, if it is one of ours."""
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

    On a full disk too: what is stored can be served.  Raises StorageUnavailable, for the operator.
    """
    try:
        staging.mkdir(parents=True, exist_ok=True)
        new_spool = _find(staging)
        _sweep(staging)
    except OSError as error:
        raise StorageUnavailable(
            f"cannot store files in {staging.parent} ({error.strerror}): create it on a disk that"
            f" has hard links, owned by user {os.geteuid()}, or choose another directory"
        ) from error
    try:
        attempt(new_spool, staging)
    except StorageUnavailable as error:
        logger.warning("nothing new can be stored: {}", error)
    return new_spool


@blocking
def _find(staging: Path) -> NewSpool:
    """Only an attempt shows what a disk can do."""
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
    """Store a little and remove it.  Raises OSError, StorageUnavailable."""
    trial = staging / f"trial-{secrets.token_hex(16)}"
    with new_spool(staging) as file:
        file.write(bytes(size))
        os.fsync(file.fileno())
        link(file, trial)
    trial.unlink()


@blocking
def _sweep(staging: Path) -> None:
    """Remove files nobody has written to for an hour.

    Younger ones may belong to another server that shares the directory.
    """
    for path in staging.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime < time.time() - _STALE:
                remove(path)
