"""CRC-32 of sequences in a row, against zlib's of the whole."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from app.builder.images.packing.crc32 import combine, crc32


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 5000))
def test_a_combined_checksum_is_that_of_both_in_a_row(
    first: bytes, second: bytes, zeros: int
) -> None:
    second += bytes(zeros)

    assert crc32(second) == zlib.crc32(second)
    assert combine(crc32(first), crc32(second), len(second)) == zlib.crc32(first + second)


def test_blocks_are_combined_from_left_to_right() -> None:
    blocks = [bytes([number]) * (1 << 20) for number in range(4)] + [b"end" * 171]
    whole = 0
    for block in blocks:
        whole = combine(whole, crc32(block), len(block))

    assert whole == zlib.crc32(b"".join(blocks))


def test_sizes_may_be_beyond_32_bits() -> None:
    """Zeros are the same whether the longer part comes first or the shorter."""
    short = 1 << 20
    size, many = short, zlib.crc32(bytes(short))
    few = many
    while size < 1 << 40:
        many = combine(many, many, size)
        size *= 2

    assert combine(few, many, size) == combine(many, few, short)
