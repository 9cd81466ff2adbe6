import io
import lzma
import zlib

import pytest

from app.system.xz import XzReader

PLAIN = bytes(range(256)) * 5000


def claiming_window(code: int) -> bytes:
    """Return a small file whose header claims a window: 40 is the largest, 4 GiB."""
    file = bytearray(lzma.compress(PLAIN))
    file[16] = code
    file[20:24] = zlib.crc32(file[12:20]).to_bytes(4, "little")
    return bytes(file)


@pytest.mark.parametrize("preset", [0, 6, 9])
def test_files_are_read_as_by_the_standard_library(preset: int) -> None:
    reader = XzReader(io.BytesIO(lzma.compress(PLAIN, preset=preset)))

    assert b"".join(iter(lambda: reader.read(100_000), b"")) == PLAIN
    assert reader.tell() == len(PLAIN)  # plain: ok


def test_a_position_before_the_present_one_is_reached_from_the_start() -> None:
    reader = XzReader(io.BytesIO(lzma.compress(PLAIN)))
    reader.read(500_000)

    for position in (400_001, 3, 900_000):
        assert reader.seek(position) == position
        assert reader.read(300) == PLAIN[position : position + 300]
    assert reader.seek(10 * len(PLAIN)) == len(PLAIN)


def test_streams_and_padding_may_follow() -> None:
    streams = lzma.compress(b"one ") + bytes(400_000) + lzma.compress(b"two")

    assert XzReader(io.BytesIO(streams)).read(100) == b"one two"


@pytest.mark.parametrize("size", [20, 100])
def test_a_file_that_ends_early_is_an_error(size: int) -> None:
    reader = XzReader(io.BytesIO(lzma.compress(PLAIN)[:size]))

    with pytest.raises(EOFError):
        reader.seek(len(PLAIN))


def test_a_window_beyond_the_largest_preset_is_refused() -> None:
    assert lzma.decompress(claiming_window(26)) == PLAIN  # 32 MiB
    assert XzReader(io.BytesIO(claiming_window(26))).read(1) == PLAIN[:1]

    with pytest.raises(lzma.LZMAError, match="Memory usage limit"):
        XzReader(io.BytesIO(claiming_window(40))).read(1)
