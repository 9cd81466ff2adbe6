"""Read xz files with bounded memory, which ``lzma.open`` does not support.

A file states how large the decoder's window is: up to 4 GiB, which a download of some kilobytes
can fill.
"""

import lzma
from typing import IO

# Bytes; the largest preset of xz has a window of 64 MiB.
MEMORY = 96 << 20
_CHUNK = 128 << 10


class XzReader:
    """A stream that is read forward; seeking back starts again.  Raises lzma.LZMAError, EOFError."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._restart()

    def tell(self) -> int:  # plain: ok
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            self._file.seek(0)
            self._restart()
        while self._position < position and self.read(min(_CHUNK, position - self._position)):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer at the end only."""
        parts = []
        left = size
        while left and (part := self._next(left)):
            parts.append(part)
            left -= len(part)
        self._position += size - left
        return b"".join(parts)

    def _restart(self) -> None:
        self._position = 0
        self._stream = _new_stream()

    def _next(self, most: int) -> bytes:
        """Return at least one byte; none at the end of the last stream."""
        while True:
            data = b""
            if self._stream.eof:
                data = self._after_padding(self._stream.unused_data)
                if not data:
                    return b""
                self._stream = _new_stream()
            elif self._stream.needs_input:
                data = self._file.read(_CHUNK)
                if not data:
                    raise EOFError("the compressed data ends early")
            if part := self._stream.decompress(data, most):
                return part

    def _after_padding(self, data: bytes) -> bytes:
        """Return what follows the zeros after a stream; nothing at the end."""
        while not (rest := data.lstrip(b"\0")) and (data := self._file.read(_CHUNK)):
            pass
        return rest


def _new_stream() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)
