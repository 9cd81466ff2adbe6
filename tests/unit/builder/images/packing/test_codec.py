import gzip
import io
import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import zstandard

from app.builder.images.packing import codec
from app.builder.images.packing.codec import Codec
from app.oci import MediaType

BLOCKS = (b"", b"x", bytes(1 << 22), os.urandom(100_000), b"abc" * 50_000)
each_codec = pytest.mark.parametrize("name", ["gzip", "zlib", "zstd"])


def unpack(media_type: MediaType, compressed: bytes) -> bytes:
    """By other implementations than those that pack."""
    if media_type is MediaType.OCI_LAYER_GZIP:
        return gzip.decompress(compressed)
    reader = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(compressed), read_across_frames=True
    )
    return reader.read()


@each_codec
def test_members_in_a_row_are_one_stream_to_others(name: str) -> None:
    packed = codec.find(name)

    members = b"".join(packed.compress(block) for block in BLOCKS)

    assert unpack(packed.media_type, members) == b"".join(BLOCKS)


@pytest.mark.slow
def test_gzip_reads_members_in_a_row() -> None:
    packed = codec.find("gzip")

    members = b"".join(packed.compress(block) for block in BLOCKS)

    assert subprocess.run(
        ["gzip", "-dc"], input=members, stdout=subprocess.PIPE, check=True
    ).stdout == (b"".join(BLOCKS))


@each_codec
def test_a_member_is_inflated_to_its_block(name: str) -> None:
    packed = codec.find(name)

    for block in BLOCKS:
        assert packed.decompress(packed.compress(block), len(block)) == block


@each_codec
def test_a_damaged_member_is_a_value_error(name: str) -> None:
    packed = codec.find(name)
    block = os.urandom(10_000)
    member = bytearray(packed.compress(block))
    member[len(member) // 2] ^= 1

    with pytest.raises(ValueError, match="not a"):
        packed.decompress(bytes(member), len(block))
    with pytest.raises(ValueError, match="not a"):
        packed.decompress(bytes(member[:-1]), len(block))


@pytest.mark.slow
@each_codec
def test_compressed_bytes_do_not_depend_on_addresses_in_memory(name: str) -> None:
    packed = codec.find(name)
    source = random.Random(4)
    # Small and soon repeated: what goes astray at the beginning of a block shows at once.
    blocks = [source.randbytes(source.randrange(20, 100)) * 3 for _ in range(2000)]
    threads = 8
    # All are alive at once, each with a stack of its own.
    meeting = Barrier(threads)

    def compressed(_: int) -> list[bytes]:
        meeting.wait()
        return [packed.compress(block) for block in blocks]

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(compressed, range(threads)))

    assert results.count(results[0]) == threads


@each_codec
def test_the_identity_is_that_of_library_level_blocks_format_and_behaviour(name: str) -> None:
    packed = codec.find(name)
    library, level, block, form, trial = packed.identity.split("/")

    assert any(digit.isdigit() for digit in library)
    assert (int(level), int(block), int(form)) == (int(level), packed.block_size, 1)
    assert len(trial) == 16
    assert packed.identity == codec.find(name).identity


def test_codecs_that_make_other_bytes_have_other_identities() -> None:
    assert len({codec.find(name).identity for name in ("gzip", "zlib", "zstd")}) == 3


def test_without_isal_gzip_is_made_by_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_HAS_ISAL", False)

    assert codec.find("gzip").identity == codec.find("zlib").identity


def test_the_error_for_an_unknown_codec_lists_the_codecs() -> None:
    with pytest.raises(ValueError, match="choose gzip, zlib or zstd"):
        codec.find("lzma")


def test_isal_levels_are_those_that_are_equal_on_all_processors() -> None:
    packed: Codec = codec.isal_gzip()

    assert packed.identity.split("/")[1] in {"1", "2"}
