"""The downloaded bytes of a file: in memory if they are few, else in a file without a name."""

import os
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from app.system.blocking import blocking

# libcurl hands over 16 KiB at a time: written one by one, they would cost most of a download's CPU.
# Most archives are smaller than this; a file for each would cost more than its bytes.
_TOGETHER = 256 * 1024


class DownloadBuffer:
    """One thread writes, and another one reads the ``readable`` bytes at the same time.

    Nothing is left of the file in ``directory`` after a crash.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self._written = 0
        self._unwritten = bytearray()
        self._is_whole = False

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return self._written + len(self._unwritten)

    @property
    def readable(self) -> int:
        return self.size if self._is_whole else self._written

    def write(self, part: bytes) -> bool:
        """Append; return whether more can be read.  Raises OSError."""
        self._unwritten += part
        if len(self._unwritten) < _TOGETHER:
            return False
        self._flush()
        return True

    def finish(self) -> None:
        """Make all bytes readable; no more are written.  Raises OSError."""
        if self._file is not None:
            self._flush()
        self._is_whole = True

    def clear(self) -> None:
        """Begin again with an empty file.  Raises OSError."""
        self._written, self._unwritten = 0, bytearray()
        if self._file is not None:
            os.ftruncate(self._file.fileno(), 0)

    @blocking
    def read(self, size: int, position: int) -> bytes:
        """Return readable bytes from a position on.  Raises OSError."""
        if self._file is None:
            return bytes(self._unwritten[position : position + size])
        return os.pread(self._file.fileno(), size, position)

    @blocking
    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        if self._file is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._file = _unnamed_file(self._directory)
        # Not copied: that would take a fiftieth of the CPU time of a first pull.
        data, self._unwritten = self._unwritten, bytearray()
        left, position = memoryview(data), self._written
        while left:
            count = os.pwrite(self._file.fileno(), left, position)
            left, position = left[count:], position + count
        self._written = position


def _unnamed_file(directory: Path) -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(dir=directory, buffering=0))
