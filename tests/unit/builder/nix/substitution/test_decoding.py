"""Each compression of binary caches: whole, cut, damaged, and in several streams."""

import bz2
import io
import lzma
import random
from collections.abc import Callable

import brotli
import pytest
import zstandard

from app.builder.nix.substitution.decoding import SUPPORTED, DecodingFailed, decoder

CONTENT = random.Random(1).randbytes(300_000)
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "zstd": zstandard.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "br": brotli.compress,
}


def decoded(compression: str, data: bytes) -> bytes:
    source = decoder(compression, io.BytesIO(data).read)
    found, buffer = bytearray(), bytearray(70_000)
    while count := source.readinto(memoryview(buffer)):
        found += buffer[:count]
    return bytes(found)


def test_every_compression_is_tried() -> None:
    assert set(COMPRESS) == SUPPORTED


@pytest.mark.parametrize("compression", sorted(COMPRESS))
@pytest.mark.parametrize("content", [b"", b"a", CONTENT], ids=["empty", "byte", "large"])
def test_content_is_restored(compression: str, content: bytes) -> None:
    assert decoded(compression, COMPRESS[compression](content)) == content


@pytest.mark.parametrize("compression", ["zstd", "xz", "bzip2"])
def test_streams_after_each_other_are_one(compression: str) -> None:
    compress = COMPRESS[compression]

    assert decoded(compression, compress(b"a") + compress(b"b")) == b"ab"


@pytest.mark.parametrize("padding", [4, 1 << 20])
def test_zeros_between_and_after_xz_streams_are_skipped(padding: int) -> None:
    """The format of xz files has them ("Stream Padding")."""
    zeros = bytes(padding)

    data = lzma.compress(b"a") + zeros + lzma.compress(b"b") + zeros

    assert decoded("xz", data) == b"ab"


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["xz", "bzip2", "br"])
def test_cut_data_is_an_error(compression: str) -> None:
    data = COMPRESS[compression](CONTENT)

    with pytest.raises(DecodingFailed, match="the compressed data ends early"):
        decoded(compression, data[:-20])


@pytest.mark.parametrize("compression", ["zstd", "xz", "bzip2", "br"])
def test_damaged_data_is_an_error(compression: str) -> None:
    with pytest.raises(DecodingFailed, match=r"damaged \w+ data: "):
        decoded(compression, b"\xff" * 1000)
