"""``nixery plan`` from binary caches; tests/e2e/test_commands.py has plans from Nix."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from app.builder.images.layering.profile import ProfileEntry, parse_profile
from app.commands import cli
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.builder.nix.binary_cache.caches import CacheServer, make_cache, serving

PACKAGES = {
    "libc-1": ["libc-1"],
    "libedit-1": ["libc-1"],
    "editor-1": ["libc-1", "libedit-1", "editor-1"],
    "viewer-2": ["libc-1"],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CacheServer]:
    with serving(make_cache(tmp_path / "cache", PACKAGES)) as server:
        yield server


def run(*words: str) -> int:
    return cli.run(["plan", *words], serve=lambda: None)


def test_plan_is_learned_from_a_directory(
    server: CacheServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("--cache", str(server.directory)) == 0

    out, err = capfdbinary.readouterr()
    plan = parse_profile(out)
    assert plan.packages == 4
    assert plan.entries == {
        "editor": ProfileEntry(0, 1),
        "libedit": ProfileEntry(0, 2),
        "libc": ProfileEntry(0, 4),
        "viewer": ProfileEntry(0, 1),
    }
    assert str(plan.identity).encode() in err


@pytest.mark.slow
def test_plan_over_http_includes_the_closure_of_the_list(
    server: CacheServer, tmp_path: Path
) -> None:
    listing = tmp_path / "list"
    listing.write_text(f"{store_path('editor-1')}\n")
    output = tmp_path / "plan.json"
    words = ["--cache", server.url, "--store-paths", str(listing), "--output", str(output)]

    assert run(*words, "--known", str(tmp_path / "known")) == 0

    assert sorted(parse_profile(output.read_bytes()).entries) == ["editor", "libc", "libedit"]


@pytest.mark.slow
def test_directory_and_http_give_the_same_plan(server: CacheServer, tmp_path: Path) -> None:
    listing = tmp_path / "list"
    listing.write_text("".join(f"{store_path(name)}\n" for name in reversed(PACKAGES)))
    here, there = tmp_path / "here.json", tmp_path / "there.json"

    assert run("--cache", str(server.directory), "--output", str(here)) == 0
    words = ["--store-paths", str(listing), "--known", str(tmp_path / "known")]
    assert run("--cache", server.url, *words, "--output", str(there)) == 0

    assert here.read_bytes() == there.read_bytes()


def test_invalid_store_path_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/etc/passwd") == 2

    assert "not a store path: '/etc/passwd'" in capsys.readouterr().err


def test_only_one_input_is_accepted(
    server: CacheServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(store_path("editor-1")), "--channel", "nixos-unstable") == 2

    assert "give store paths, --packages, --channel or --store-paths" in capsys.readouterr().err


def test_cycle_of_references_is_an_error_of_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = make_cache(tmp_path / "cache", {"a-1": ["b-1"], "b-1": ["a-1"]})

    assert run("--cache", str(cache)) == 1

    assert "cache is damaged: /nix/store/" in (message := capfd.readouterr().err)
    assert message.splitlines()[-1].endswith("is part of a cycle of references")


def test_empty_cache_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--cache", str(make_cache(tmp_path / "cache", {}))) == 1

    assert capfd.readouterr().err.splitlines()[-1].endswith("cache is empty")


def test_missing_package_set_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--packages", str(tmp_path / "missing")) == 1

    assert f"package set {tmp_path}/missing does not exist" in capfd.readouterr().err


@pytest.mark.parametrize("output", ["", "missing/plan.json"])
def test_impossible_output_is_rejected_before_reading(
    server: CacheServer, tmp_path: Path, output: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("--cache", server.url, "--output", str(tmp_path / output)) == 2

    assert "directory" in capfd.readouterr().err
    assert server.requests.total() == 0


@pytest.mark.slow
def test_pipe_or_link_is_written_to_and_not_replaced(server: CacheServer, tmp_path: Path) -> None:
    """Root could replace /dev/null or /dev/stdout."""
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    assert run("--cache", str(server.directory), "--output", str(pipe)) == 0
    assert run("--cache", str(server.directory), "--output", str(link)) == 0

    with os.fdopen(reader, "rb") as read:
        assert parse_profile(read.read()).packages == 4
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert parse_profile(target.read_bytes()).packages == 4


def test_failed_write_keeps_the_old_plan(
    server: CacheServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "plans" / "plan.json"
    output.parent.mkdir()
    output.write_text("old")

    def fail(path: Path, target: Path) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    assert run("--cache", str(server.directory), "--output", str(output)) == 1

    assert output.read_text() == "old"
    assert list(output.parent.iterdir()) == [output]
