"""Stop work when a disk gets too full."""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from app.system.blocking import blocking
from app.system.workers import Workers

T = TypeVar("T")

_MIB = 1024 * 1024


class DiskFull(Exception):
    pass


class DiskSpace:
    """Keep ``least`` bytes free on the file system of ``directory``; 0 disables the limit."""

    def __init__(
        self, *, directory: Path, least: int, workers: Workers, interval_seconds: float = 1
    ) -> None:
        self._directory = directory
        self._least = least
        self._workers = workers
        self._interval_seconds = interval_seconds

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``work``; cancel it and raise DiskFull if space runs out."""
        if not self._least:
            return await work
        running = asyncio.ensure_future(work)
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait((running, watching), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            watching.result()
            raise AssertionError("the watch only ends with an error")
        finally:
            for task in (watching, running):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _watch(self) -> None:
        while True:
            free = await self._workers.run(self._free)
            if free < self._least:
                raise DiskFull(
                    f"{free // _MIB} MiB are free on the file system of {self._directory}, and"
                    f" {self._least // _MIB} MiB have to stay free"
                )
            await asyncio.sleep(self._interval_seconds)

    @blocking
    def _free(self) -> int:
        status = os.statvfs(self._directory)
        return status.f_bavail * status.f_frsize
