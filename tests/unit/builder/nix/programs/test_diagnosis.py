"""What is made of a realisation that failed, by what Nix printed and what is missing."""

import json
from collections.abc import Collection, Mapping

import pytest

from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs.build_log import BuildLog
from app.builder.nix.programs.diagnosis import (
    Attempt,
    failure,
    has_fault,
    ignored_signature,
    out_of_time,
)
from app.errors import (
    BuildFailed,
    BuildTimedOut,
    DownloadFailed,
    NotCached,
    RegistryError,
    StoreUnavailable,
)
from app.system.process import Finished

CACHE = "https://cache.example.org"
HASH = "cw1cj5n21xrqcyn5grrp104psm0f3yw1"
PATH = f"/nix/store/{HASH}-hello-2.12"
OTHER = "/nix/store/dc2nrrdbjkpb16vwzx0kbzygsxqymz0w-input-1.0"
DERIVATION = "/nix/store/0c2nrrdbjkpb16vwzx0kbzygsxqymz0w-hello-2.12.drv"
REFUSED_500 = f"error: unable to download '{CACHE}/nar/1.nar.xz': HTTP error 500"
UNSIGNED = (
    f"warning: ignoring substitute for '{PATH}' from '{CACHE}', as it's not signed by any of the"
    " keys in 'trusted-public-keys'"
)
FAILED = f"error: builder for '{DERIVATION}' failed with exit code 1"
ONE = Finished(1, b"", b"", 1.0)


def message(text: str) -> dict[str, object]:
    level = {"error": 0, "warning": 1}.get(text.partition(":")[0], 3)
    return {"action": "msg", "level": level, "msg": text} | ({} if level else {"raw_msg": text})


BUILDING: dict[str, object] = {
    "action": "start",
    "type": 105,
    "id": 1,
    "fields": [DERIVATION, "", 1, 1],
}
FETCHING: dict[str, object] = {"action": "start", "type": 108, "id": 2, "fields": [PATH, CACHE]}


def attempt(
    *events: dict[str, object] | str,
    build: bool = True,
    missing: Collection[str] = (PATH,),
    signers: Mapping[str, tuple[str, ...]] | None = None,
) -> Attempt:
    log = BuildLog(lambda _: None)
    for event in events:
        log.feed("@nix " + json.dumps(message(event) if isinstance(event, str) else event))
    options = RealiseOptions(source="team", seconds=30, build=build, substituters=None)
    return Attempt(options, log, (PATH,), frozenset(missing), signers or {})


@pytest.mark.parametrize(
    ("ended", "kind", "shown"),
    [
        (
            attempt("error: writing to file: No space left on device"),
            StoreUnavailable,
            "the disk of the Nix store is full: writing to file",
        ),
        (
            attempt("error: writing to file: Disk quota exceeded"),
            StoreUnavailable,
            "the disk of the Nix store is full: writing to file",
        ),
        (attempt(BUILDING, FAILED), BuildFailed, "failed with exit code 1"),
        (
            attempt(BUILDING, f"error: file '{PATH}/device' has an unsupported type"),
            BuildFailed,
            "has an unsupported type",
        ),
        (
            attempt(BUILDING, REFUSED_500.replace("/nar/1.nar.xz", "/hello.tar.gz"), FAILED),
            DownloadFailed,
            f"{CACHE}/hello.tar.gz failed while {DERIVATION} was built: HTTP error 500",
        ),
        (
            attempt(BUILDING, f"error: unable to download '{CACHE}/h': HTTP error 404", FAILED),
            BuildFailed,
            "HTTP error 404",
        ),
        (
            attempt(FETCHING, REFUSED_500),
            DownloadFailed,
            f"{CACHE} failed to send {PATH}: HTTP error 500",
        ),
        (
            attempt(f"error: unable to download '{CACHE}/{HASH}.narinfo': HTTP error 502"),
            DownloadFailed,
            f"{CACHE} failed to send {PATH}: HTTP error 502",
        ),
        (
            attempt(
                f"error: unable to download '{CACHE}/nix-cache-info': Timeout was reached (28)"
            ),
            DownloadFailed,
            f"{CACHE} failed to send {PATH}: Timeout was reached (28)",
        ),
        (
            attempt("error: some outputs are not valid", build=False),
            NotCached,
            "source team only serves what a binary cache has (build = false); not there: hello-2.12",
        ),
        (
            attempt("error: the database is locked", build=False, missing=()),
            StoreUnavailable,
            "Nix failed: the database is locked",
        ),
        (
            attempt(UNSIGNED, build=False, signers={PATH: ("team-1",)}),
            NotCached,
            f"{CACHE}: the signature by team-1 of {PATH} is not trusted",
        ),
        (attempt("error: the database is locked"), StoreUnavailable, "Nix failed: the database"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_failures_are_lasting_only_where_they_are_known_to_be(
    ended: Attempt, kind: type[RegistryError], shown: str
) -> None:
    error = failure(ended, ONE)

    assert type(error) is kind
    assert shown in error.message


def test_a_refusal_names_wanted_outputs_before_what_they_need() -> None:
    ended = attempt("don't know how to build these paths:", f"  {OTHER}", f"  {PATH}", build=False)

    error = failure(ended, ONE)

    assert error.message.endswith("not there: hello-2.12, input-1.0")


def test_a_fault_of_a_cache_counts_only_while_its_path_is_missing() -> None:
    assert has_fault(attempt(FETCHING, REFUSED_500))
    assert not has_fault(attempt(FETCHING, missing=()))


@pytest.mark.parametrize(
    ("ended", "kind", "shown"),
    [
        (
            attempt(FETCHING),
            DownloadFailed,
            f"{CACHE} had not sent {PATH} after 30 s (build_seconds of source team)",
        ),
        (
            attempt(f"error: unable to download '{CACHE}/{HASH}.narinfo': HTTP error 502"),
            DownloadFailed,
            f"{CACHE} failed to send {PATH}",
        ),
        (
            attempt(BUILDING, FETCHING),
            BuildTimedOut,
            f"build stopped after 30 s (build_seconds of source team) while building {DERIVATION}",
        ),
        (attempt(), BuildTimedOut, "build stopped after 30 s (build_seconds of source team)"),
    ],
)
def test_a_time_out_names_the_cache_unless_something_was_built(
    ended: Attempt, kind: type[RegistryError], shown: str
) -> None:
    error = out_of_time(ended)

    assert type(error) is kind
    assert shown in error.message


@pytest.mark.parametrize(
    ("signers", "shown"),
    [
        ({PATH: ()}, f"{CACHE}: {PATH} is not signed"),
        (
            {PATH: ("team-1", "team-2", "team-3")},
            f"{CACHE}: the signature by team-1, team-2 of {PATH} is not trusted (trusted-public-keys)",
        ),
        ({}, f"{CACHE}: no signature of {PATH} is trusted (trusted-public-keys)"),
    ],
)
def test_an_ignored_signature_is_described_with_its_keys(
    signers: Mapping[str, tuple[str, ...]], shown: str
) -> None:
    assert ignored_signature(attempt(UNSIGNED, signers=signers)) == shown
    assert ignored_signature(attempt()) == ""


def test_the_ignored_signature_comes_before_what_was_built_in_place_of_the_path() -> None:
    error = failure(attempt(UNSIGNED, BUILDING, FAILED), ONE)

    assert error.message.startswith(f"{CACHE}: no signature of {PATH} is trusted")
    assert "failed with exit code 1" in error.message
