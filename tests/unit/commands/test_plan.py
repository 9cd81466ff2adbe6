"""Plans from binary caches; those from Nix are shown end to end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import cli
from app.builder.layering.plan import PlanEntry, parse_plan
from tests.unit.builder.binary_cache.caches import CacheServer, make_cache, serving
from tests.unit.builder.layering.closures import store_path

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


def test_a_plan_is_learned_from_a_directory(
    server: CacheServer, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("--cache", str(server.directory)) == 0

    out, err = capfdbinary.readouterr()
    plan = parse_plan(out)
    assert plan.packages == 4
    assert plan.entries == {
        "editor": PlanEntry(0, 1),
        "libedit": PlanEntry(0, 2),
        "libc": PlanEntry(None, 4),
        "viewer": PlanEntry(None, 1),
    }
    assert str(plan.identity).encode() in err


def test_a_plan_over_http_reads_what_the_list_refers_to(
    server: CacheServer, tmp_path: Path
) -> None:
    listing = tmp_path / "list"
    listing.write_text(f"{store_path('editor-1')}\n")
    output = tmp_path / "plan.json"
    words = ["--cache", server.url, "--store-paths", str(listing), "--output", str(output)]

    assert run(*words, "--known", str(tmp_path / "known")) == 0

    assert sorted(parse_plan(output.read_bytes()).entries) == ["editor", "libc", "libedit"]


def test_the_same_cache_gives_the_same_plan_both_ways(server: CacheServer, tmp_path: Path) -> None:
    listing = tmp_path / "list"
    listing.write_text("".join(f"{store_path(name)}\n" for name in reversed(PACKAGES)))
    here, there = tmp_path / "here.json", tmp_path / "there.json"

    assert run("--cache", str(server.directory), "--output", str(here)) == 0
    words = ["--store-paths", str(listing), "--known", str(tmp_path / "known")]
    assert run("--cache", server.url, *words, "--output", str(there)) == 0

    assert here.read_bytes() == there.read_bytes()


def test_what_is_no_store_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("/etc/passwd")

    assert "invalid store_path value: '/etc/passwd'" in capsys.readouterr().err


def test_sources_exclude_each_other(
    server: CacheServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(str(store_path("editor-1")), "--channel", "nixos-unstable")

    assert "not allowed with" in capsys.readouterr().err
