"""Messages of binary caches, in the texts of several versions of Nix."""

import json
from pathlib import Path

import pytest

from app.builder.nix.programs.fetches import Fault, Fetches

CACHE = "https://cache.example.org"
HASH = "cw1cj5n21xrqcyn5grrp104psm0f3yw1"
PATH = f"/nix/store/{HASH}-leaf-1.0"


# What Nix printed for each fault of a cache, by version; addresses and hashes were replaced.
RECORDED: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("fetch_messages.json").read_text()
)
SILENT = "Timeout was reached (28)"
REASONS = {
    "nar-500": "HTTP error 500",
    "nar-404": "HTTP error 404",
    "nar-cut": "Transferred a partial file",
    "nar-silent": SILENT,
}
BEFORE_DOWNLOADS = {"narinfo-500": (HASH, "HTTP error 500"), "all-silent": ("", SILENT)}
# Nix 2.4 to 2.34 print these for a path that another process is adding.
LACKING = [
    f"error: cannot add path '{PATH}' because it lacks a signature by a trusted key",
    f"error: cannot add path '{PATH}' because it lacks a valid signature",
]


def recorded(version: str, fault: str, *, started: bool) -> Fetches:
    fetches = Fetches()
    if started:
        fetches.start(1, PATH, CACHE)
    for message in RECORDED[version][fault]:
        fetches.note(message)
    return fetches


@pytest.mark.parametrize("version", RECORDED)
def test_an_ignored_signature_is_found(version: str) -> None:
    fetches = recorded(version, "unsigned", started=False)

    assert fetches.unsigned == {PATH: CACHE}
    assert fetches.faults({PATH}) == []


@pytest.mark.parametrize("message", LACKING)
def test_a_path_without_a_signature_is_not_a_fault(message: str) -> None:
    fetches = Fetches()
    fetches.start(1, PATH, CACHE)

    fetches.note(message)

    assert fetches.unsigned == {PATH: CACHE}
    assert fetches.faults({PATH}) == []


@pytest.mark.parametrize("version", RECORDED)
@pytest.mark.parametrize("fault", REASONS)
def test_a_fault_of_a_cache_has_its_reason(version: str, fault: str) -> None:
    (found,) = recorded(version, fault, started=True).faults({PATH})

    assert (found.cache, found.path) == (CACHE, PATH)
    assert REASONS[fault] in found.reason


@pytest.mark.parametrize("version", RECORDED)
@pytest.mark.parametrize("fault", BEFORE_DOWNLOADS)
def test_a_fault_before_any_download_names_what_the_message_has(version: str, fault: str) -> None:
    path, reason = BEFORE_DOWNLOADS[fault]

    (found,) = recorded(version, fault, started=False).faults({PATH})

    assert (found.cache, found.path) == (CACHE, path)
    assert found.reason.startswith(reason)


CONNECTING = "Nix cannot connect to it"
OPENING = "this Nix cannot open stores of its kind"
# Of Nix 2.8, and the last two of 2.26 to 2.34, for caches that it does not reach by HTTP.
STORES = [
    ("error: cannot connect to 'cache.lan'", "ssh://cache.lan", CONNECTING),
    ("error (ignored): error: cannot connect to 'cache.lan'", "ssh://cache.lan", CONNECTING),
    (
        "error: cannot open connection to remote store 'ssh-ng://cache.lan': error: unexpected",
        "ssh-ng://cache.lan",
        CONNECTING,
    ),
    (
        "error: opening a connection to remote store 'ssh-ng://cache.lan' previously failed",
        "ssh-ng://cache.lan",
        CONNECTING,
    ),
    (
        "warning: don't know how to open Nix store 's3://bucket?scheme=http'",
        "s3://bucket",
        OPENING,
    ),
    ("error: failed to start SSH connection to 'cache.lan'", "ssh://cache.lan", CONNECTING),
    ("warning: don't know how to open Nix store with scheme 's3'", "s3://", OPENING),
]


@pytest.mark.parametrize(("message", "cache", "reason"), STORES)
def test_a_store_that_cannot_be_opened_is_a_fault_of_a_cache(
    message: str, cache: str, reason: str
) -> None:
    fetches = Fetches()

    fetches.note(message)

    assert fetches.faults({PATH}) == [Fault(cache, "", reason)]


def test_a_builder_that_cannot_be_reached_is_not_a_fault_of_a_cache() -> None:
    fetches = Fetches()

    fetches.note("cannot build on 'ssh://builder': error: cannot connect to 'builder'")
    fetches.note("cannot build on 'ssh://b': error: failed to start SSH connection to 'b'")

    assert fetches.faults({PATH}) == []


def test_a_download_without_an_error_is_incomplete() -> None:
    fetches = Fetches()
    fetches.start(1, PATH, CACHE)

    assert fetches.faults({PATH}) == [Fault(CACHE, PATH, "the download is incomplete")]


def test_the_reason_of_a_retried_download_has_no_pause() -> None:
    fetches = Fetches()
    fetches.start(1, PATH, CACHE)

    fetches.note(RECORDED["2.8.0"]["nar-silent"][0])

    assert fetches.faults({PATH}) == [Fault(CACHE, PATH, SILENT)]


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
