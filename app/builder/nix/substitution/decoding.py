"""Decompress archives of binary caches, with bounded memory and output.

liblzma, zstandard, libbz2 and brotli release the GIL.
"""

import bz2
import lzma
from collections.abc import Callable
from typing import IO, Protocol, cast

import brotli
import zstandard

from app.builder.nix.nar import Source
from app.builder.nix.store import UnreadablePath
from app.system.xz import MEMORY

# Returns up to so many bytes; none at the end.
Read = Callable[[int], bytes]

_READ = 512 * 1024
_OUTPUT = 256 * 1024
# That of the largest presets: zstd -19 and --long.
_ZSTD_WINDOW = 1 << 27


class DecodingFailed(UnreadablePath):
    """The compressed data is damaged."""


class _Decompressor(Protocol):
    """The interface of ``lzma`` and ``bz2``."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


def decoder(compression: str, read: Read) -> Source:
    """Return a source of the decompressed bytes, which raises DecodingFailed.

    Raises KeyError for an unknown compression (``SUPPORTED``).
    """
    return _DECODERS[compression](read)


class _Plain:
    def __init__(self, read: Read) -> None:
        self._read = read

    def readinto(self, buffer: memoryview, /) -> int:
        part = self._read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


class _Zstd:
    def __init__(self, read: Read) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
            cast("IO[bytes]", _Readable(read)), read_size=_READ, read_across_frames=True
        )

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            return self._stream.readinto(buffer)
        except zstandard.ZstdError as error:
            raise DecodingFailed(f"damaged zstd data: {error}") from None


class _Readable:
    def __init__(self, read: Read) -> None:
        self.read = read


class _Pieces:
    """A reader of pieces.

    ``next_piece`` returns decompressed bytes, at most ``_OUTPUT``; none at the end.
    """

    def __init__(self, next_piece: Callable[[], bytes]) -> None:
        self._next = next_piece
        self._piece = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        if not self._piece:
            self._piece = memoryview(self._next())
        part = self._piece[: len(buffer)]
        self._piece = self._piece[len(part) :]
        buffer[: len(part)] = part
        return len(part)


class _Streams:
    """One compressed stream after the other, as parallel compressors write them."""

    def __init__(self, make: Callable[[], _Decompressor], read: Read) -> None:
        self._make = make
        self._read = read
        self._stream = make()
        self._is_new = True

    def next_piece(self) -> bytes:
        data = b""
        while True:
            stream = self._stream
            if stream.eof:
                data = self._after_padding(stream.unused_data)
                self._stream = stream = self._make()
                self._is_new = True
            elif stream.needs_input:
                data = self._read(_READ)
            if not data and stream.needs_input:
                if self._is_new:
                    return b""
                raise DecodingFailed("the compressed data ends early")
            try:
                piece = stream.decompress(data, _OUTPUT)
            except (lzma.LZMAError, OSError, ValueError) as error:
                raise DecodingFailed(f"damaged compressed data: {error}") from None
            self._is_new, data = False, b""
            if piece:
                return piece

    def _after_padding(self, data: bytes) -> bytes:
        """Return what follows the zeros that xz files may have after a stream."""
        while not (rest := data.lstrip(b"\0")) and (data := self._read(_READ)):
            pass
        return rest


class _Brotli:
    def __init__(self, read: Read) -> None:
        self._read = read
        self._stream = brotli.Decompressor()

    def next_piece(self) -> bytes:
        stream = self._stream
        while not stream.is_finished():
            has_room = stream.can_accept_more_data()
            data = self._read(_READ) if has_room else b""
            try:
                piece = stream.process(data, output_buffer_limit=_OUTPUT)
            except brotli.error as error:
                raise DecodingFailed(f"damaged brotli data: {error}") from None
            if piece:
                return bytes(piece)
            if has_room and not data:
                raise DecodingFailed("the compressed data ends early")
        return b""


def _xz(read: Read) -> Source:
    return _Pieces(_Streams(lambda: lzma.LZMADecompressor(memlimit=MEMORY), read).next_piece)


def _bzip2(read: Read) -> Source:
    return _Pieces(_Streams(bz2.BZ2Decompressor, read).next_piece)


def _brotli(read: Read) -> Source:
    return _Pieces(_Brotli(read).next_piece)


_DECODERS: dict[str, Callable[[Read], Source]] = {
    "none": _Plain,
    "zstd": _Zstd,
    "xz": _xz,
    "bzip2": _bzip2,
    "br": _brotli,
}
SUPPORTED = frozenset(_DECODERS)
