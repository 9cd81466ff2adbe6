"""Compression of one block into one independent gzip member or zstd frame.

The bytes of a layer depend on the library, its version, the level and, with ISA-L, on the
processor's features (docs/packing.md).  ``identity`` has all of them, and the digest of a
compressed fixed sample for any other cause.  It is part of every record's key, so that one key
always means one sequence of bytes.
"""

import hashlib
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import zstandard

from app.builder.images.packing.tar_header import END_OF_ARCHIVE, directory
from app.oci import MediaType

try:
    from isal import ISAL_VERSION, igzip_lib, isal_zlib
    from isal import __version__ as isal_version
except ImportError:  # not built for this machine
    _HAS_ISAL = False
else:
    _HAS_ISAL = True

# Raise when the tar stream or the cutting changes.
_FORMAT = 1
_GZIP = 31
# gzip looks back 32 KiB and gains nothing from larger blocks; zstd looks back over a whole block.
_GZIP_BLOCK = 1 << 20
_ZSTD_BLOCK = 4 << 20
# A block, and what the library allocates for it: tables, and an output that may be as large as the
# block.  Measured: 2.4 and 4.9 MiB.
_GZIP_COST = _GZIP_BLOCK + (5 << 19)
_ZSTD_COST = _ZSTD_BLOCK + (5 << 20)
_PARENTS = directory(b"nix/", mode=0o755) + directory(b"nix/store/", mode=0o755)


@dataclass(frozen=True, slots=True)
class Member:
    tar: bytes
    compressed: bytes


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression, with one library, version and level.

    ``compress`` and ``decompress`` release the GIL.  ``decompress`` takes the size to expect, and
    raises ValueError for damaged data.  ``prefix`` begins every layer: it has the directories above
    store paths.  ``end`` ends every layer.  ``block_cost`` is all memory, in bytes, that a block
    takes while it is compressed.
    """

    media_type: MediaType
    identity: str
    block_size: int
    block_cost: int
    compress: Callable[[memoryview | bytes], bytes]
    decompress: Callable[[bytes, int], bytes]
    prefix: Member
    end: Member


def find_all(name: str) -> tuple[Codec, ...]:
    """Return one codec, or for ``both`` those of gzip and zstd, in this order."""
    return tuple(map(find, ("gzip", "zstd") if name == "both" else (name,)))


def identity_of(codecs: Sequence[Codec]) -> str:
    """Return what decides the compressed bytes of a layer in all codecs."""
    return " ".join(codec.identity for codec in codecs)


def find(name: str) -> Codec:
    """Return ``gzip`` (ISA-L where it is built, zlib elsewhere), ``zlib`` or ``zstd``."""
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
    (``.write_first_byte`` in igzip_icf_body_h1_gr_bt.asm of 2.32.1; docs/packing.md).
    """
    level = 2
    # The loop for short inputs takes up to 16 bytes; four are enough of a beginning.
    beginning = 4
    # The stubs declare the class as an instance.
    isal_error = cast("type[Exception]", igzip_lib.error)

    def compress(block: memoryview | bytes) -> bytes:
        stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, _GZIP)
        view = memoryview(block)
        parts = (
            stream.compress(view[:beginning]),
            stream.flush(isal_zlib.Z_SYNC_FLUSH),
            stream.compress(view[beginning:]),
            stream.flush(),
        )
        return b"".join(parts)

    def decompress(member: bytes, size: int) -> bytes:
        try:
            return igzip_lib.decompress(member, igzip_lib.DECOMP_GZIP, 15, size)
        except isal_error as error:
            raise ValueError(f"not a gzip member: {error}") from error

    library = f"isal-{isal_version}-{ISAL_VERSION}"
    block = (_GZIP_BLOCK, _GZIP_COST)
    return _codec(MediaType.OCI_LAYER_GZIP, f"{library}/{level}", block, compress, decompress)


def zlib_gzip() -> Codec:
    level = 6

    def compress(block: memoryview | bytes) -> bytes:
        stream = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
        return stream.compress(block) + stream.flush()

    def decompress(member: bytes, size: int) -> bytes:
        try:
            return zlib.decompress(member, _GZIP, size)
        except zlib.error as error:
            raise ValueError(f"not a gzip member: {error}") from error

    library = f"zlib-{zlib.ZLIB_RUNTIME_VERSION}"
    block = (_GZIP_BLOCK, _GZIP_COST)
    return _codec(MediaType.OCI_LAYER_GZIP, f"{library}/{level}", block, compress, decompress)


def zstd() -> Codec:
    level = 3

    def compress(block: memoryview | bytes) -> bytes:
        # One for each block: a kept one would hold large tables beyond ``block_cost``, and the time
        # to make them is too short to be measured.
        return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(block)

    def decompress(member: bytes, size: int) -> bytes:
        try:
            return zstandard.ZstdDecompressor().decompress(member, max_output_size=size)
        except zstandard.ZstdError as error:
            raise ValueError(f"not a zstd frame: {error}") from error

    library = "zstd-" + ".".join(map(str, zstandard.ZSTD_VERSION))
    block = (_ZSTD_BLOCK, _ZSTD_COST)
    return _codec(MediaType.OCI_LAYER_ZSTD, f"{library}/{level}", block, compress, decompress)


def _codec(
    media_type: MediaType,
    library: str,
    block: tuple[int, int],
    compress: Callable[[memoryview | bytes], bytes],
    decompress: Callable[[bytes, int], bytes],
) -> Codec:
    block_size, block_cost = block
    trial = hashlib.sha256(compress(_sample())).hexdigest()[:16]
    return Codec(
        media_type=media_type,
        identity=f"{library}/{block_size}/{_FORMAT}/{trial}",
        block_size=block_size,
        block_cost=block_cost,
        compress=compress,
        decompress=decompress,
        prefix=Member(_PARENTS, compress(_PARENTS)),
        end=Member(END_OF_ARCHIVE, compress(END_OF_ARCHIVE)),
    )


def _sample() -> bytes:
    """Return near and far repetitions, text and noise, in which match finders differ."""
    source = random.Random(1)  # noqa: S311  # wanted: the same everywhere
    words = [source.randbytes(source.randrange(2, 40)) for _ in range(500)]
    return b"".join(words[min(int(source.expovariate(0.02)), 499)] for _ in range(12_000))
