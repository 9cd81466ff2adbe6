"""File locks between the processes of one state directory, waited for without blocking.

The holder of an exclusive lock may remove its file.  Another process that had opened the file then
waits for one without a name, so a lock counts only if its file still has that name.
"""

import fcntl
import math
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio

from app.system.blocking import blocking
from app.system.workers import Workers

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX
_RETRY_SECONDS = 0.05


class LockHeld(Exception):
    """Another process, or another task, holds the lock for too long."""


@asynccontextmanager
async def locked(
    path: Path, mode: int, *, workers: Workers, seconds: float = math.inf
) -> AsyncIterator[int]:
    """Hold the lock on a file, which is created if absent; give the open descriptor.

    The lock is released when the process exits.  Raises LockHeld if others hold it for longer than
    ``seconds``: a process may be stopped, or wait for a disk that does not respond.
    """
    descriptor = await _acquire(path, mode, workers, time.monotonic() + seconds)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@blocking
@contextmanager
def try_exclusive(path: Path) -> Iterator[bool]:
    """Give whether the lock was taken: not if another process holds it or the file is absent."""
    descriptor = None
    with suppress(FileNotFoundError):
        descriptor = take(path, EXCLUSIVE, os.O_RDWR)
    try:
        yield descriptor is not None
    finally:
        _release(descriptor)


@blocking
@contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Wait for the exclusive lock on a directory; a file system without locks grants it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, EXCLUSIVE)
        yield
    finally:
        os.close(descriptor)


@blocking
def hold(descriptor: int) -> None:
    """Lock a new file until it is closed; a file system without locks grants it."""
    with suppress(OSError):
        fcntl.flock(descriptor, EXCLUSIVE | fcntl.LOCK_NB)


@blocking
def is_held(path: Path) -> bool:
    """Return whether a process holds the lock on a file; False for what is not a file."""
    descriptor = None
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            fcntl.flock(descriptor, EXCLUSIVE | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        _release(descriptor)
    return False


@blocking
def take(path: Path, mode: int, flags: int) -> int | None:
    """Return an open descriptor that holds the lock; None if the lock is not free now."""
    with ExitStack() as unless_taken:
        descriptor = os.open(path, flags, 0o600)
        unless_taken.callback(os.close, descriptor)
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                unless_taken.pop_all()
                return descriptor
    return None


async def _acquire(path: Path, mode: int, workers: Workers, end: float) -> int:
    while True:
        descriptor = await workers.obtain(partial(_make, path, mode), discard=_release)
        if descriptor is not None:
            return descriptor
        if time.monotonic() >= end:
            raise LockHeld
        await anyio.sleep(_RETRY_SECONDS)


@blocking
def _make(path: Path, mode: int) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    return take(path, mode, os.O_RDWR | os.O_CREAT)


def _release(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
