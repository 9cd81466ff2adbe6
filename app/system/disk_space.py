"""Check how much space is free on a disk."""

import os
from pathlib import Path

from app.system.blocking import blocking
from app.system.workers import Workers
from app.text.size import MIB


class DiskFull(Exception):
    """Less space is free than has to stay free."""


class DiskSpace:
    """Keep ``least`` bytes free on the file system of ``directory``; 0 disables the limit."""

    def __init__(
        self, *, directory: Path, least: int, workers: Workers, interval_seconds: float = 1
    ) -> None:
        self._directory = directory
        self._least = least
        self._workers = workers
        self._interval_seconds = interval_seconds

    async def check(self) -> float:
        """Return after how many seconds to check again; raises DiskFull."""
        if self._least:
            free = await self._workers.run(self._free)
            if free < self._least:
                raise DiskFull(
                    f"{free // MIB} MiB are free on the file system of {self._directory}, and"
                    f" {self._least // MIB} MiB have to stay free"
                )
        return self._interval_seconds

    @blocking
    def _free(self) -> int:
        status = os.statvfs(self._directory)
        return status.f_bavail * status.f_frsize
