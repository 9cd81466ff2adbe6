"""Encodings of narinfos: those of HTTP, and those that Nix stores in buckets.

Nix has a setting, ``narinfo-compression``, and names any of its compressions in the header.
"""

import io
import zlib

from app.builder.nix.binary_cache.exchange import TransferFailed
from app.builder.nix.substitution.decoding import SUPPORTED, DecodingFailed, decoder

_HTTP = frozenset({"gzip", "x-gzip", "deflate"})
# The header of gzip or zlib; and, as many servers send for "deflate", none.
_ANY_HEADER, _NO_HEADER = zlib.MAX_WBITS + 32, -zlib.MAX_WBITS
_PART = 64 * 1024


def decoded(body: bytes, encoding: str, size_limit: int) -> bytes:
    """Return the decoded body of at most ``size_limit`` bytes.  Raises TransferFailed."""
    try:
        if encoding in _HTTP:
            found = _inflated(body, size_limit)
        elif encoding in SUPPORTED:
            found = _decompressed(body, encoding, size_limit)
        else:
            raise TransferFailed("the response has an unknown Content-Encoding", transient=True)
    except (DecodingFailed, zlib.error) as error:
        raise TransferFailed(f"the response is not {encoding}: {error}", transient=True) from None
    if len(found) > size_limit:
        raise TransferFailed(f"more than {size_limit} bytes", transient=False)
    return found


def _inflated(body: bytes, size_limit: int) -> bytes:
    stream = zlib.decompressobj(_ANY_HEADER)
    try:
        found = stream.decompress(body, size_limit + 1)
    except zlib.error:
        stream = zlib.decompressobj(_NO_HEADER)
        found = stream.decompress(body, size_limit + 1)
    if not stream.eof and len(found) <= size_limit:
        raise DecodingFailed("the compressed data ends early")
    return found


def _decompressed(body: bytes, encoding: str, size_limit: int) -> bytes:
    source = decoder(encoding, io.BytesIO(body).read)
    found, buffer = bytearray(), bytearray(_PART)
    while len(found) <= size_limit and (count := source.readinto(memoryview(buffer))):
        found += buffer[:count]
    return bytes(found)
