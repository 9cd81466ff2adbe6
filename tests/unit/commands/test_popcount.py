"""``nixery popcount`` against a binary cache on loopback."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.binary_cache import fetch
from app.commands import cli
from app.commands import popcount as popcount_module
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.builder.nix.binary_cache.caches import CacheServer, make_cache, serving, status

PACKAGES = {
    "libc-1": ["libc-1"],
    "libz-1": ["libc-1"],
    "git-2": ["git-2", "libc-1", "libz-1"],
    "curl-7": ["libc-1", "libz-1", "gone-1"],
}
EXPECTED = b'{"libc-1":4,"libz-1":2}'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CacheServer]:
    monkeypatch.setattr(fetch, "RETRIES", replace(fetch.RETRIES, pause_seconds=0.001))
    directory = make_cache(tmp_path / "cache", PACKAGES)
    (directory / "store-paths").write_text(
        "".join(f"{store_path(name)}\n" for name in [*PACKAGES, "gone-1"])
    )
    with serving(directory) as server:
        yield server


def run(*words: str) -> int:
    def serve() -> None:
        raise AssertionError("a subcommand does not serve")

    return cli.run(words, serve=serve)


def test_all_paths_of_a_directory_are_counted(
    server: CacheServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("popcount", "--cache", str(server.directory)) == 0

    out, err = capfdbinary.readouterr()
    assert out == EXPECTED + b"\n"
    assert b"4 of 4 store paths" in err


def test_list_over_http_is_counted_into_a_file(
    server: CacheServer, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = tmp_path / "popularity.json"
    words = ["popcount", "--cache", server.url, "--store-paths", f"{server.url}/store-paths"]

    code = run(*words, "--known", str(tmp_path / "known"), "--output", str(output))

    assert code == 0
    assert output.read_bytes() == EXPECTED
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert b"1 not in the cache" in err


@pytest.mark.slow
def test_second_count_reads_only_new_narinfos(server: CacheServer, tmp_path: Path) -> None:
    listing = server.directory / "store-paths"
    words = ["popcount", "--cache", server.url, "--store-paths", str(listing)]
    words += ["--known", str(tmp_path / "known"), "--output", str(tmp_path / "popularity.json")]
    run(*words)
    make_cache(server.directory, {"new-1": ["libz-1"]})
    listing.write_text(f"{listing.read_text()}{store_path('new-1')}\n{store_path('git-2')}\n")
    before = server.requests.total()

    assert run(*words) == 0

    # nix-cache-info, the new path, and the one that was not there.
    assert server.requests.total() - before == 3
    assert json.loads((tmp_path / "popularity.json").read_bytes()) == {
        "git-2": 2,
        "libc-1": 5,
        "libz-1": 4,
    }


def test_caches_that_share_a_file_are_counted_separately(
    server: CacheServer, tmp_path: Path
) -> None:
    listing, output = tmp_path / "list", tmp_path / "popularity.json"
    listing.write_text(f"{store_path('git-2')}\n{store_path('curl-7')}\n")
    words = ["popcount", "--store-paths", str(listing), "--known", str(tmp_path / "known")]
    words += ["--output", str(output)]
    assert run(*words, "--cache", server.url) == 0
    other = make_cache(tmp_path / "other", {"git-2": ["libc-1"], "curl-7": ["libc-1"]})

    with serving(other) as second:
        assert run(*words, "--cache", second.url) == 0

    assert output.read_bytes() == b'{"libc-1":2}'


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(*words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_cache_behind_http_needs_a_list(
    server: CacheServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = str(tmp_path / "known")

    message = failure(capsys, "popcount", "--cache", server.url, "--known", known)

    assert "--store-paths" in message


def test_cache_without_any_path_of_the_list_is_an_error(
    server: CacheServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = tmp_path / "list"
    listing.write_text(f"{store_path('gone-1')}\n")
    words = ["--store-paths", str(listing), "--known", str(tmp_path / "known")]

    message = failure(capsys, "popcount", "--cache", server.url, *words)

    assert "has none of the 1 store paths" in message


@pytest.mark.parametrize(
    ("listing", "complaint"),
    [("/does/not/exist", "No such file"), ("EMPTY", "names no store path"), ("BAD", "line 1 is")],
)
def test_invalid_list_is_named(
    server: CacheServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    listing: str,
    complaint: str,
) -> None:
    (tmp_path / "EMPTY").write_text("\n")
    (tmp_path / "BAD").write_text("../../etc/passwd\n")
    place = str(tmp_path / listing)
    words = ["--store-paths", place, "--known", str(tmp_path / "known")]

    message = failure(capsys, "popcount", "--cache", server.url, *words)

    assert place in message
    assert complaint in message


def test_invalid_channel_name_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not the name of a channel" in failure(
        capsys, "popcount", "--channel", "../../evil?x="
    )


def test_error_of_a_cache_names_its_url(
    server: CacheServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults["nix-cache-info"] = [status(401)]

    message = failure(capsys, "popcount", "--cache", server.url)

    assert message == (
        f"nixery popcount: {server.url}/nix-cache-info: the server responded with 401, no netrc file has its"
        " password or it is wrong\n"
    )


def test_interrupted_command_prints_how_to_continue(
    server: CacheServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(popcount_module, "popcount", interrupt)

    assert run("popcount", "--cache", str(server.directory)) == 130
    assert "run the same command again to continue" in capsys.readouterr().err
