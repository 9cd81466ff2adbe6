"""File locks between the processes of one state directory, waited for without blocking.

A lock's file may be removed by who holds it alone.  Whoever opened it before waits for a file
that has no name any more, so a lock counts only if its file is still the one of that name.
"""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio

from app.system.blocking import blocking
from app.system.workers import Workers

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX
_RETRY_SECONDS = 0.05


@asynccontextmanager
async def locked(path: Path, mode: int, *, workers: Workers) -> AsyncIterator[int]:
    """Hold the lock on a file, which is made if absent.

    Gives the open descriptor.  A process that dies lets go.
    """
    descriptor = await _acquire(path, mode, workers)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@blocking
@contextmanager
def try_exclusive(path: Path) -> Iterator[bool]:
    """Whether the lock is held: not if somebody else holds it, or there is no file."""
    descriptor = None
    with suppress(FileNotFoundError):
        descriptor = take(path, EXCLUSIVE, os.O_RDWR)
    try:
        yield descriptor is not None
    finally:
        _let_go(descriptor)


@blocking
def take(path: Path, mode: int, flags: int) -> int | None:
    """Never wait for the lock.  An open descriptor that holds it, if it can be had now."""
    with ExitStack() as unless_taken:
        descriptor = os.open(path, flags, 0o600)
        unless_taken.callback(os.close, descriptor)
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                unless_taken.pop_all()
                return descriptor
    return None


async def _acquire(path: Path, mode: int, workers: Workers) -> int:
    while True:
        descriptor = await workers.obtain(partial(_make, path, mode), discard=_let_go)
        if descriptor is not None:
            return descriptor
        await anyio.sleep(_RETRY_SECONDS)


@blocking
def _make(path: Path, mode: int) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    return take(path, mode, os.O_RDWR | os.O_CREAT)


def _let_go(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
