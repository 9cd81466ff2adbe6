"""Store paths of content addresses, compared with those that Nix 2.8 prints."""

import hashlib

import pytest

from app.builder.nix.binary_cache.content_address import ContentAddress
from app.builder.nix.closure import StorePath

ABC = hashlib.sha256(b"abc").hexdigest()
OTHER = StorePath.parse("/nix/store/08g3c9zd7qsw0216x1bdlk7qrykjny7s-other")


def text_hash(text: str) -> str:
    return f"text:sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (text_hash("hello\n"), "hk4fa3z1idv58ynl352glj9xxp8j4zg6-note"),
        (f"fixed:sha256:{ABC}", "w9kgc365dkdndm4xbmmd2jjv67ph64z9-file"),
        (f"fixed:r:sha256:{ABC}", "q4shm068fmnrpml6n4y98rj1sqfkfgr0-file"),
        (
            "fixed:r:sha1:3p96jjzpczsh1jdw4l9dvd3m3pqp0v80",
            "8j8b531lm5v3n3iig2ra7lbpsdxagq56-file",
        ),
    ],
)
def test_content_decides_the_path(address: str, path: str) -> None:
    name = path.partition("-")[2]

    assert ContentAddress.parse(address).path(name, (), to_itself=False).base == path


def test_references_of_a_text_are_part_of_its_path() -> None:
    address = ContentAddress.parse(text_hash(f"see {OTHER}"))

    found = address.path("note", [OTHER], to_itself=False)

    assert found.base == "bhyzzm1v8d9zn3g0v6g7zyprrkx6yy0n-note"


def test_reference_to_itself_gives_another_path() -> None:
    address = ContentAddress.parse(f"fixed:r:sha256:{ABC}")

    assert address.path("file", (), to_itself=True) != address.path("file", (), to_itself=False)


@pytest.mark.parametrize(
    ("address", "to_itself"),
    [
        (text_hash("x"), True),
        (f"fixed:sha256:{ABC}", False),
        ("fixed:r:sha1:3p96jjzpczsh1jdw4l9dvd3m3pqp0v80", False),
    ],
)
def test_address_that_does_not_allow_references_is_invalid(
    address: str, *, to_itself: bool
) -> None:
    with pytest.raises(ValueError, match="allows no references"):
        ContentAddress.parse(address).path("x", [OTHER], to_itself=to_itself)


@pytest.mark.parametrize("address", ["", f"fixed:git:sha256:{ABC}", f"other:sha256:{ABC}"])
def test_unknown_kind_is_invalid(address: str) -> None:
    with pytest.raises(ValueError, match="unknown content address"):
        ContentAddress.parse(address)
