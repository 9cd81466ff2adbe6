"""Messages of binary caches, in the texts of several versions of Nix."""

import pytest

from app.builder.nix.programs.fetches import Fault, Fetches

CACHE = "https://cache.example.org"
HASH = "cw1cj5n21xrqcyn5grrp104psm0f3yw1"
PATH = f"/nix/store/{HASH}-hello-2.12"


BY_NO_KEY = "signed by any of the keys in 'trusted-public-keys'"
UNSIGNED = [
    f"warning: the substitute for '{PATH}' from '{CACHE}' is not {BY_NO_KEY}",
    f"warning: ignoring substitute for '{PATH}' from '{CACHE}', as it's not {BY_NO_KEY}",
    f"error: cannot add path '{PATH}' because it lacks a signature by a trusted key",
    f"error: cannot add path '{PATH}' because it lacks a valid signature",
]
TIMEOUT = f"warning: error: unable to download '{CACHE}/nar/1.nar.xz': Timeout was reached (28)"


@pytest.mark.parametrize("message", UNSIGNED)
def test_an_ignored_signature_is_found(message: str) -> None:
    fetches = Fetches()
    fetches.start(1, PATH, CACHE)

    fetches.note(message)

    assert fetches.unsigned == {PATH: CACHE}
    assert fetches.faults({PATH}) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            f"error: unable to download '{CACHE}/nar/1.nar.xz': HTTP error 500 ('Oops')",
            "HTTP error 500 ('Oops')",
        ),
        (
            f"{TIMEOUT}; retrying in 288 ms",
            "Timeout was reached (28)",
        ),
        (f"error: file 'nar/1.nar.xz' does not exist in binary cache '{CACHE}'", "HTTP error 404"),
        ("", "the download is incomplete"),
    ],
)
def test_a_fault_of_a_cache_has_its_reason(message: str, reason: str) -> None:
    fetches = Fetches()
    fetches.start(1, PATH, CACHE)

    fetches.note(message)

    assert fetches.faults({PATH}) == [Fault(CACHE, PATH, reason)]


def test_a_fault_before_a_download_names_the_hash() -> None:
    fetches = Fetches()

    fetches.note(f"error: unable to download '{CACHE}/{HASH}.narinfo': HTTP error 502")

    assert fetches.faults(set()) == [Fault(CACHE, HASH, "HTTP error 502")]


def test_a_failed_download_of_a_builder_is_not_a_fault_of_a_cache() -> None:
    fetches = Fetches()

    fetches.note("error: unable to download 'https://ftp.example.org/hello.tar.gz': HTTP error 404")

    assert fetches.faults(set()) == []
    assert fetches.other_failures == [("https://ftp.example.org/hello.tar.gz", "HTTP error 404")]


def test_a_download_runs_until_it_stops() -> None:
    fetches = Fetches()
    fetches.start(1, PATH, CACHE)
    assert fetches.running == ((PATH, CACHE),)

    fetches.stop(1)

    assert list(fetches.running) == []
    assert fetches.started == (PATH,)
