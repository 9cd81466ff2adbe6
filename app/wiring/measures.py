"""Measurements that run beside the server's work."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from app.settings.sections.storage import FilesystemBackend
from app.settings.settings import Settings
from app.system.blocking import blocking
from app.system.workers import Workers
from app.telemetry.measures import DiskSpace, Measures

_STORE = Path("/nix/store")


def open_measures(settings: Settings, stack: AsyncExitStack, workers: Workers) -> Measures:
    """Start to measure the delay of the event loop; leaving the stack ends it."""
    directories = {"state": settings.state_path, "nix-store": _STORE}
    backend = settings.backend
    if isinstance(backend, FilesystemBackend):
        directories["storage"] = backend.path
    measures = Measures(disks=partial(workers.run, _spaces, directories))
    stack.push_async_callback(_end, asyncio.create_task(measures.watch_loop()))
    return measures


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@blocking
def _spaces(directories: Mapping[str, Path]) -> Mapping[str, DiskSpace]:
    """Leave out a directory that cannot be examined: an alert can report its absence."""
    found: dict[str, DiskSpace] = {}
    for name, directory in directories.items():
        with suppress(OSError):
            status = os.statvfs(directory)
            free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
            found[name] = DiskSpace(free, total)
    return found
