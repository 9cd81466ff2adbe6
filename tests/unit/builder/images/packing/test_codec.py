import gzip
import io
import os
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import zstandard

from app.builder.images.packing import codec
from app.builder.images.packing.blob import BlobWriter, Compressed
from app.builder.images.packing.codec import BEGINNING, Codec
from app.builder.images.packing.crc32 import crc32
from app.builder.images.packing.tar_header import END_OF_ARCHIVE
from app.oci import MediaType

BLOCKS = (b"", b"x", bytes(1 << 22), os.urandom(100_000), b"abc" * 50_000)
# Every machine has gzip; pigz is tested where it is installed.
PROGRAMS = ("gzip", "pigz") if shutil.which("pigz") else ("gzip",)
each_codec = pytest.mark.parametrize("name", ["gzip", "zlib", "zstd"])
each_number = pytest.mark.parametrize("blocks", [(), *((one,) for one in BLOCKS), BLOCKS])


def blob_of(packed: Codec, blocks: Sequence[bytes]) -> bytes:
    blob = BlobWriter([(packed, file := io.BytesIO())])
    for block in blocks:
        blob.add_tar(block)
        blob.add_block(Compressed(packed.compress(block), len(block), crc32(block)))
    blob.finish()
    return file.getvalue()


def tar_of(blocks: Sequence[bytes]) -> bytes:
    return b"".join((BEGINNING, *blocks, END_OF_ARCHIVE))


def unpack(media_type: MediaType, compressed: bytes) -> bytes:
    """By other implementations than those that pack."""
    if media_type is MediaType.OCI_LAYER_GZIP:
        return gzip.decompress(compressed)
    reader = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(compressed), read_across_frames=True
    )
    return reader.read()


@each_codec
@each_number
def test_a_blob_of_blocks_is_one_stream_to_others(name: str, blocks: Sequence[bytes]) -> None:
    packed = codec.find(name)

    assert unpack(packed.media_type, blob_of(packed, blocks)) == tar_of(blocks)


@pytest.mark.parametrize("name", ["gzip", "zlib"])
@each_number
def test_a_blob_is_one_gzip_member(name: str, blocks: Sequence[bytes]) -> None:
    blob = blob_of(codec.find(name), blocks)
    member = zlib.decompressobj(wbits=31)

    tar = member.decompress(blob)

    assert (member.eof, member.unused_data) == (True, b"")
    assert tar == tar_of(blocks)
    assert blob[-8:] == struct.pack("<II", zlib.crc32(tar), len(tar))


@pytest.mark.parametrize("name", ["gzip", "zlib"])
def test_a_blob_states_the_size_of_a_tar_beyond_4_gib_as_gzip_does(name: str) -> None:
    end = codec.find(name).end(0xFEDCBA98, (1 << 32) + 512)

    assert end[-8:] == struct.pack("<II", 0xFEDCBA98, 512)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_read_a_blob(program: str) -> None:
    unpacked = subprocess.run(
        [program, "-dc"],
        input=blob_of(codec.find("gzip"), BLOCKS),
        stdout=subprocess.PIPE,
        check=True,
    )

    assert unpacked.stdout == tar_of(BLOCKS)


@each_codec
def test_a_compressed_block_is_decompressed_by_itself(name: str) -> None:
    packed = codec.find(name)

    for block in BLOCKS:
        assert packed.decompress(packed.compress(block), len(block)) == block


@each_codec
def test_what_is_not_one_whole_block_is_a_value_error(name: str) -> None:
    packed = codec.find(name)
    block = os.urandom(10_000)
    compressed = packed.compress(block)

    for damaged in (compressed[:-1], compressed[: len(compressed) // 2], b"\xff" * 100):
        with pytest.raises(ValueError, match="not a"):
            packed.decompress(damaged, len(block))


@pytest.mark.parametrize("name", ["gzip", "zlib"])
def test_a_block_that_would_end_the_stream_is_a_value_error(name: str) -> None:
    packed = codec.find(name)
    ending = packed.compress(b"block") + b"\x03\x00"

    for damaged in (ending, ending + b"more", ending + packed.compress(b"more")):
        with pytest.raises(ValueError, match="not a"):
            packed.decompress(damaged, 5)


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
    assert level.isdigit()
    assert (int(block), int(form)) == (packed.block_size, 2)
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
