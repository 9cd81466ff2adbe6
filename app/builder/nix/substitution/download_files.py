"""Files without names for downloads, which are used again for later ones."""

import os
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO, cast

from app.system.blocking import blocking

# Bytes of all that are kept, beside those of running downloads.
_KEPT = 32 << 20


class DownloadFiles:
    """Nothing is left in ``directory`` after a crash.

    A file that is used again has pages and blocks already: a new one for each download takes twice
    the CPU time of its writes.  Its content is that of an earlier download.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._changing = threading.Lock()
        self._used = 0
        self._idle: list[tuple[BinaryIO, int]] = []
        self._kept = 0

    def take(self) -> BinaryIO:
        """Return an unbuffered file, for ``put_back``.  Raises OSError.

        The thread of transfers calls this, which writes downloads to files.
        """
        with self._changing:
            self._used += 1
            if self._idle:
                file, size = self._idle.pop()
                self._kept -= size
                return file
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            return cast("BinaryIO", tempfile.TemporaryFile(dir=self._directory, buffering=0))
        except BaseException:
            self._end_one()
            raise

    @blocking
    def put_back(self, file: BinaryIO) -> None:
        """Keep the file while others are used, or close it."""
        size = os.fstat(file.fileno()).st_size
        with self._changing:
            if self._kept + size <= _KEPT:
                self._idle.append((file, size))
                self._kept += size
            else:
                file.close()
        self._end_one()

    def _end_one(self) -> None:
        with self._changing:
            self._used -= 1
            if not self._used:
                self._kept = 0
                while self._idle:
                    self._idle.pop()[0].close()
