"""Encodings of narinfos."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard

from app.builder.nix.binary_cache.exchange import TransferFailed
from app.builder.nix.substitution.encodings import decoded
from scripts.channel.server import Channel
from tests.contract.store_contract import A
from tests.unit.builder.nix.substitution.world import World, fill, opened

BODY = b"StorePath: /nix/store\n" * 100
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
}


@pytest.mark.parametrize("encoding", ENCODE)
def test_every_encoding_is_decoded(encoding: str) -> None:
    assert decoded(ENCODE[encoding](BODY), encoding, 10_000) == BODY


@pytest.mark.parametrize("encoding", ENCODE)
def test_more_than_the_limit_is_not_decoded(encoding: str) -> None:
    with pytest.raises(TransferFailed, match="more than 1000 bytes"):
        decoded(ENCODE[encoding](bytes(50_000_000)), encoding, 1000)


@pytest.mark.parametrize("encoding", ENCODE)
def test_other_bytes_are_a_transient_fault(encoding: str) -> None:
    with pytest.raises(TransferFailed, match=f"the response is not {encoding}") as caught:
        decoded(b"\xff" * 100, encoding, 1000)
    assert caught.value.transient


def test_deflate_without_a_header_is_decoded_too() -> None:
    raw = zlib.compress(BODY)[2:-4]

    assert decoded(raw, "deflate", 10_000) == BODY


@pytest.mark.parametrize("encoding", ["xz", "zstd"])
async def test_narinfos_that_nix_has_encoded_are_read(tmp_path: Path, encoding: str) -> None:
    """As with ``narinfo-compression`` in the URL to which Nix copies."""
    cache = Channel(fill(tmp_path / "cache", {A: b"1"}))
    cache.fail("narinfo", ENCODE[encoding], times=99, **{"Content-Encoding": encoding})
    with opened(World(tmp_path, [cache])) as world:
        assert set((await world.find(A)).offers) == {A}


def test_an_unknown_encoding_is_a_transient_fault() -> None:
    with pytest.raises(TransferFailed, match="unknown Content-Encoding"):
        decoded(BODY, "aws-chunked", 1000)
