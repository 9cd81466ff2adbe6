"""Compression of one block of a tar, independently of the others.

A blob in gzip is one member: a header, the compressed blocks, and a trailer.  Each block is deflated
by itself and ends at a byte.  In zstd each block is a frame.

The bytes of a layer depend on the library, its version, the level and, with ISA-L, on the
processor's features (docs/decisions/isal.md).  ``identity`` has all of them, and the digest of a
compressed fixed sample for any other cause.  It is part of every record's key, so that one key
always means one sequence of bytes.
"""

import hashlib
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Protocol, cast

import zstandard

from app.builder.images.packing.tar_header import END_OF_ARCHIVE, directory
from app.oci import MediaType

try:
    from isal import ISAL_VERSION, isal_zlib
    from isal import __version__ as isal_version
except ImportError:  # not built for this machine
    _HAS_ISAL = False
else:
    _HAS_ISAL = True

# Raise this number when the tar stream, the cutting or the frame around blocks changes.
_FORMAT = 2
# Deflate without a header and a trailer.
_RAW = -15
# No file name and no time, by an unknown operating system; and an empty last block (RFC 1951).
_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_LAST_BLOCK = b"\x03\x00"
# gzip looks back 32 KiB and gains nothing from larger blocks; zstd looks back over a whole block.
_GZIP_BLOCK = 1 << 20
_ZSTD_BLOCK = 4 << 20
# A block, and what the library allocates for it: tables, and an output that may be as large as the
# block.  Measured: 2.4 and 4.9 MiB.
_GZIP_COST = _GZIP_BLOCK + (5 << 19)
_ZSTD_COST = _ZSTD_BLOCK + (5 << 20)
# The tar of every layer begins with the directories above store paths.
BEGINNING = directory(b"nix/", mode=0o755) + directory(b"nix/store/", mode=0o755)


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression, with one library, version and level.

    ``compress`` and ``decompress`` release the GIL.  ``decompress`` takes the size to expect, and
    raises ValueError for data that is not one complete compressed block; gzip does not notice other
    damage, so the caller compares the CRC-32.  ``prefix`` begins every blob, up to and including
    the compressed BEGINNING.  ``end`` returns the end of a blob whose tar has this CRC-32 and size,
    from the compressed END_OF_ARCHIVE on.  ``block_cost`` is all memory, in bytes, that a block
    takes while it is compressed.
    """

    media_type: MediaType
    identity: str
    block_size: int
    block_cost: int
    compress: Callable[[memoryview | bytes], bytes]
    decompress: Callable[[bytes, int], bytes]
    prefix: bytes
    end: Callable[[int, int], bytes]


def find_all(name: str) -> tuple[Codec, ...]:
    """Return one codec, or for ``both`` those of gzip and zstd, in this order."""
    return tuple(map(find, ("gzip", "zstd") if name == "both" else (name,)))


def identity_of(codecs: Sequence[Codec]) -> str:
    """Return what decides the compressed bytes of a layer in all codecs."""
    return " ".join(codec.identity for codec in codecs)


def find(name: str) -> Codec:
    """Return ``gzip`` (ISA-L where it is built, zlib elsewhere), ``zlib`` or ``zstd``.

    Raises ValueError for another name.
    """
    match name:
        case "gzip":
            return isal_gzip() if _HAS_ISAL else zlib_gzip()
        case "zlib":
            return zlib_gzip()
        case "zstd":
            return zstd()
        case _:
            raise ValueError(f"no codec {name!r}: choose gzip, zlib or zstd")


def isal_gzip() -> Codec:
    """Return ISA-L's gzip at level 2; level 3 gives other bytes on each processor generation.

    The first bytes are flushed separately, because ISA-L's loop for long inputs must not begin a
    stream.  It files the third position under a hash of the stream's address, so that one process
    finds a match with the beginning and another does not
    (``.write_first_byte`` in igzip_icf_body_h1_gr_bt.asm of 2.32.1; docs/decisions/isal.md).
    """
    level = 2
    # The loop for short inputs takes up to 16 bytes; four are enough of a beginning.
    beginning = 4
    # With smaller buffers a Huffman code serves less data, and fits it better: 1 % fewer bytes.
    memory = 3
    # The stubs declare the class as an instance.
    isal_error = cast("type[Exception]", isal_zlib.error)

    def compress(block: memoryview | bytes) -> bytes:
        stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW, memory)
        view = memoryview(block)
        parts = (
            stream.compress(view[:beginning]),
            stream.flush(isal_zlib.Z_SYNC_FLUSH),
            stream.compress(view[beginning:]),
            stream.flush(isal_zlib.Z_SYNC_FLUSH),
        )
        return b"".join(parts)

    def decompress(block: bytes, size: int) -> bytes:
        return _inflate(isal_zlib.decompressobj(_RAW), block, size, isal_error)

    return _gzip(f"isal-{isal_version}-{ISAL_VERSION}/{level}", compress, decompress)


def zlib_gzip() -> Codec:
    level = 6

    def compress(block: memoryview | bytes) -> bytes:
        stream = zlib.compressobj(level, zlib.DEFLATED, _RAW)
        return stream.compress(block) + stream.flush(zlib.Z_SYNC_FLUSH)

    def decompress(block: bytes, size: int) -> bytes:
        return _inflate(zlib.decompressobj(_RAW), block, size, zlib.error)

    return _gzip(f"zlib-{zlib.ZLIB_RUNTIME_VERSION}/{level}", compress, decompress)


def zstd() -> Codec:
    level = 3

    def compress(block: memoryview | bytes) -> bytes:
        # One for each block: a kept one would hold large tables beyond ``block_cost``, and the time
        # to make them is too short to be measured.
        return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(block)

    def decompress(block: bytes, size: int) -> bytes:
        try:
            return zstandard.ZstdDecompressor().decompress(block, max_output_size=size)
        except zstandard.ZstdError as error:
            raise ValueError(f"not a zstd frame: {error}") from error

    library = "zstd-" + ".".join(map(str, zstandard.ZSTD_VERSION))
    last = compress(END_OF_ARCHIVE)
    return Codec(
        media_type=MediaType.OCI_LAYER_ZSTD,
        identity=_identity(f"{library}/{level}", _ZSTD_BLOCK, compress),
        block_size=_ZSTD_BLOCK,
        block_cost=_ZSTD_COST,
        compress=compress,
        decompress=decompress,
        prefix=compress(BEGINNING),
        end=lambda _check, _size: last,
    )


def _gzip(
    library: str,
    compress: Callable[[memoryview | bytes], bytes],
    decompress: Callable[[bytes, int], bytes],
) -> Codec:
    last = compress(END_OF_ARCHIVE) + _LAST_BLOCK
    return Codec(
        media_type=MediaType.OCI_LAYER_GZIP,
        identity=_identity(library, _GZIP_BLOCK, compress),
        block_size=_GZIP_BLOCK,
        block_cost=_GZIP_COST,
        compress=compress,
        decompress=decompress,
        prefix=_GZIP_HEADER + compress(BEGINNING),
        end=lambda check, size: last + pack("<II", check, size & 0xFFFFFFFF),
    )


class _Stream(Protocol):
    """A decompressing object of zlib's or ISA-L's."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _inflate(stream: _Stream, block: bytes, size: int, error: type[Exception]) -> bytes:
    """Decompress a block.  Raises ValueError unless another one may follow it."""
    try:
        tar = stream.decompress(block, size + 1)
        beyond = stream.decompress(_LAST_BLOCK, 1)
    except (error, EOFError) as failure:
        raise ValueError(f"not a deflated block: {failure}") from failure
    if beyond or stream.unused_data or not stream.eof:
        raise ValueError("not a deflated block: it is incomplete, or ends the stream")
    return tar


def _identity(library: str, block_size: int, compress: Callable[[bytes], bytes]) -> str:
    trial = hashlib.sha256(compress(_sample())).hexdigest()[:16]
    return f"{library}/{block_size}/{_FORMAT}/{trial}"


def _sample() -> bytes:
    """Return near and far repetitions, text and noise, in which match finders differ."""
    source = random.Random(1)  # noqa: S311  # wanted: the same everywhere
    words = [source.randbytes(source.randrange(2, 40)) for _ in range(500)]
    return b"".join(words[min(int(source.expovariate(0.02)), 499)] for _ in range(12_000))
