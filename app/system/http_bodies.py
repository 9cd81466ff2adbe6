"""Bodies of HTTP responses in pieces of bounded size, and with a limit for all of them.

httpx decodes each piece that it receives as a whole, and once for each encoding that the server
names: seven kilobytes that are compressed twice take gigabytes.  It also reads the bodies of
redirects, of any size.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx

_PIECE = 64 << 10
_GZIP = ("gzip", "x-gzip")
_AS_GZIP = 16 + zlib.MAX_WBITS


def bound_body(response: httpx.Response, most: int) -> None:
    """Let the body be read in bounded pieces; more than ``most`` bytes raise httpx.HTTPError.

    The response must not be read yet.  A redirect gets an empty body.
    """
    encodings = response.headers.get_list("content-encoding", split_commas=True)
    response.headers.pop("content-encoding", None)
    encodings = [name.strip().lower() for name in encodings]
    encodings = [name for name in encodings if name not in {"", "identity"}]
    pieces: _Pieces | None = None
    if not response.has_redirect_location:
        if encodings and (len(encodings) > 1 or encodings[0] not in _GZIP):
            raise httpx.DecodingError("its response is encoded in an unknown way")
        pieces = _Gzip(most) if encodings else _Pieces(most)
    response.stream = _Body(response.stream, pieces)


class _Body(httpx.AsyncByteStream, httpx.SyncByteStream):
    """Without ``pieces`` the body is empty."""

    def __init__(
        self, stream: httpx.AsyncByteStream | httpx.SyncByteStream, pieces: "_Pieces | None"
    ) -> None:
        self._stream = stream
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._pieces is None:
            return
        async for data in cast("httpx.AsyncByteStream", self._stream):
            for piece in self._pieces.of(data):
                yield piece
                # A server can send faster than the caller reads, and the loop has other work.
                await asyncio.sleep(0)
        self._pieces.end()

    def __iter__(self) -> Iterator[bytes]:
        if self._pieces is None:
            return
        for data in cast("httpx.SyncByteStream", self._stream):
            yield from self._pieces.of(data)
        self._pieces.end()

    async def aclose(self) -> None:
        await cast("httpx.AsyncByteStream", self._stream).aclose()

    def close(self) -> None:
        cast("httpx.SyncByteStream", self._stream).close()


class _Pieces:
    """Counts the bytes of a body."""

    def __init__(self, most: int) -> None:
        self._left = most

    def of(self, data: bytes) -> Iterator[bytes]:
        yield self._counted(data)

    def end(self) -> None:
        """Raise httpx.DecodingError if the body is incomplete."""

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise httpx.DecodingError("its response is too large")
        return piece


class _Gzip(_Pieces):
    """Decompresses a body of one or several members."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._member = zlib.decompressobj(_AS_GZIP)
        self._is_empty = True

    def of(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_AS_GZIP)
            self._is_empty = False
            try:
                piece = self._member.decompress(data, _PIECE)
            except zlib.error as error:
                raise httpx.DecodingError(f"its response is damaged: {error}") from None
            data = self._member.unconsumed_tail or self._member.unused_data
            yield self._counted(piece)

    def end(self) -> None:
        if not (self._is_empty or self._member.eof):
            raise httpx.DecodingError("its compressed response ends early")
