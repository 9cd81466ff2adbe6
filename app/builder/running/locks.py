"""File locks between the processes of one state directory, waited for without blocking."""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from app.builder.running.workers import Workers

SHARED, EXCLUSIVE = fcntl.LOCK_SH, fcntl.LOCK_EX
_RETRY_SECONDS = 0.05


@asynccontextmanager
async def locked(path: Path, mode: int, *, workers: Workers) -> AsyncIterator[int]:
    """Hold the lock on a file, which is made if absent and may be removed by who holds it alone.

    Gives the open descriptor.  A process that dies lets go.
    """
    descriptor = await _acquire(path, mode, workers)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def try_exclusive(path: Path) -> int | None:
    """Blocking.  An open descriptor that holds the lock, or None if somebody else does."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, EXCLUSIVE | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


async def _acquire(path: Path, mode: int, workers: Workers) -> int:
    while True:
        descriptor = await workers.run(_open, path)
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            await anyio.sleep(_RETRY_SECONDS)
            continue
        if await workers.run(_has_name, descriptor, path):
            return descriptor
        os.close(descriptor)  # removed between opening and locking


def _open(path: Path) -> int:
    """Blocking."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _has_name(descriptor: int, path: Path) -> bool:
    """Blocking."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
