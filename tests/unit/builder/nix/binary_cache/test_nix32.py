"""Notations of hashes, compared with those that Nix prints."""

import hashlib

import pytest

from app.builder.nix.binary_cache import nix32

DIGEST = hashlib.sha256(b"abc").digest()
# nix-hash --type sha256 --to-base32
BASE_32 = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
BASE_64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="


def test_digest_is_encoded_as_nix_does() -> None:
    assert nix32.encode(DIGEST) == BASE_32
    assert nix32.decode(BASE_32, 32) == DIGEST


@pytest.mark.parametrize(
    "text",
    [
        f"sha256:{BASE_32}",
        f"sha256:{DIGEST.hex()}",
        f"sha256:{BASE_64}",
        f"sha256-{BASE_64}",
    ],
)
def test_each_notation_is_parsed(text: str) -> None:
    assert nix32.parse_hash(text) == ("sha256", DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        BASE_32,
        f"sha3:{BASE_32}",
        f"sha256:{BASE_32[:-1]}",
        f"sha256:{'e' * 52}",
        f"sha256:{'z' * 52}",  # more than 256 bits
        f"sha256:{'g' * 64}",
        f"sha256:{BASE_64[:-5]}=",
        "sha256:AAAA",
    ],
)
def test_other_text_is_not_a_hash(text: str) -> None:
    with pytest.raises(ValueError, match="not a hash"):
        nix32.parse_hash(text)


@pytest.mark.parametrize(("text", "size"), [("u", 1), ("zz", 1), ("zzz", 1), ("0", 1)])
def test_text_of_another_length_is_not_decoded(text: str, size: int) -> None:
    with pytest.raises(ValueError, match="base 32"):
        nix32.decode(text, size)
