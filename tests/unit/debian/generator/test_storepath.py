"""Store paths equal those that Nix computed (nix-store --add-fixed)."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix.debian.generator.storepath import ALPHABET, base32, flat_path, recursive_path, store_name

HELLO = hashlib.sha256(b"hello").hexdigest()


def test_base32_is_that_of_nix() -> None:
    assert base32(bytes.fromhex(HELLO)) == "094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic"


def test_path_of_a_file_is_that_of_nix() -> None:
    assert flat_path(HELLO, "hello.txt") == "/nix/store/iixxin28s82lrxs8v4lcf7nha2dkwprm-hello.txt"


def test_path_of_a_tree_is_that_of_nix() -> None:
    assert (
        recursive_path("7aeb30f2db48f83350b59c21b1f64996706104169c7428fea654fa5b7486f86e", "tree")
        == "/nix/store/cj1d7nbhma9041h48r95n7jlw5rqv0j3-tree"
    )


@pytest.mark.slow
@given(st.binary(min_size=1, max_size=40))
def test_base32_is_reversible(data: bytes) -> None:
    number = 0
    for character in base32(data):
        number = number * 32 + ALPHABET.index(character)
    assert number.to_bytes(len(data) + 1, "little")[: len(data)] == data


def test_names_contain_only_characters_that_nix_accepts() -> None:
    assert store_name("g++_1%3a2~rc1_amd64.deb") == "g++_1-3a2-rc1_amd64.deb"
