"""The downloaded bytes of a file: in memory if they are few, else in a file without a name."""

import os
from typing import BinaryIO

from app.builder.nix.substitution.download_files import DownloadFiles
from app.system.blocking import blocking

# Most archives are smaller than this; a file for each would cost more than its bytes.
_SMALL = 256 * 1024


class DownloadBuffer:
    """One thread writes, and another one reads the ``readable`` bytes at the same time."""

    def __init__(self, files: DownloadFiles) -> None:
        self._files = files
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

    @property
    def has_file(self) -> bool:
        return self._file is not None

    def write(self, part: bytes | bytearray) -> bool:
        """Append; return whether more can be read.  Raises OSError."""
        if self.size + len(part) < _SMALL:
            self._unwritten += part
            return False
        if self._unwritten:
            part, self._unwritten = self._unwritten + part, bytearray()
        self._append(part)
        return True

    def finish(self) -> None:
        """Make all bytes readable; no more are written."""
        self._is_whole = True

    def clear(self) -> None:
        """Begin again with an empty file."""
        self._written, self._unwritten = 0, bytearray()

    @blocking
    def read(self, size: int, position: int) -> bytes:
        """Return readable bytes from a position on.  Raises OSError."""
        if self._unwritten:
            return bytes(self._unwritten[position : position + size])
        if self._file is None:
            return b""
        # The file may have more bytes, of an earlier download.
        return os.pread(self._file.fileno(), min(size, self._written - position), position)

    @blocking
    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            self._files.put_back(file)

    def _append(self, part: bytes | bytearray) -> None:
        if self._file is None:
            self._file = self._files.take()
        left, position = memoryview(part), self._written
        while left:
            count = os.pwrite(self._file.fileno(), left, position)
            left, position = left[count:], position + count
        self._written = position
