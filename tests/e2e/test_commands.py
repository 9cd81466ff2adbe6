"""``nixery popcount`` and ``nixery plan`` with real Nix: its store and its binary caches."""

import asyncio
import json
import lzma
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from app.builder.images.layering.profile import ProfileEntry, parse_profile
from app.builder.images.profile_loading import load_profile, shipped_profiles
from app.builder.nix.binary_cache.known import KnownNarInfos
from app.builder.nix.binary_cache.narinfo import NarInfo
from app.builder.nix.binary_cache.reading import BATCH, CONNECTIONS
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.commands import cli, store_path_list
from app.storage.memory import MemoryStorage
from tests.ownership import start_process
from tests.unit.builder.images.layering.closures import store_path
from tests.unit.builder.nix.binary_cache.caches import (
    CacheServer,
    drop,
    hang,
    make_cache,
    serving,
    status,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

GRAPH = Path(__file__).resolve().parents[1] / "nix" / "small" / "graph.nix"
SYSTEM = f"{os.uname().machine}-linux"
ROOT = "build-users-group =\n" if os.geteuid() == 0 else ""
NIX = {**os.environ, "NIX_CONFIG": f"{ROOT}experimental-features = nix-command\n"}


def nix(*command: str) -> list[str]:
    finished = subprocess.run(command, env=NIX, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.split()


def run(*words: str) -> int:
    return cli.run(words, serve=lambda: None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The outputs of graph.nix that are built, protected by roots."""
    roots = tmp_path_factory.mktemp("roots")
    wanted = [w for name in ("libc", "libz.dev", "git", "plugins.lfs") for w in ("-A", name)]
    arguments = ["--argstr", "system", SYSTEM, "-o", str(roots / "root")]
    return nix("nix-build", str(GRAPH), *wanted, *arguments)


@pytest.fixture(scope="module")
def cache(built: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A binary cache by Nix itself, with the list a channel would have."""
    directory = tmp_path_factory.mktemp("cache")
    nix("nix", "copy", "--to", f"file://{directory}?compression=none", *built)
    paths = nix("nix-store", "--query", "--requisites", *built)
    (directory / "store-paths").write_text("\n".join([*paths, paths[0]]))
    with serving(directory) as server:
        yield server


def name(path: str) -> str:
    return path.rsplit("/", maxsplit=1)[-1][33:]


def hash_part(path: str) -> str:
    return path.rsplit("/", maxsplit=1)[-1][:32]


def references(paths: list[str]) -> Counter[str]:
    """Nix's own output, self references included."""
    every = [other for path in paths for other in nix("nix-store", "-q", "--references", path)]
    return Counter(name(other) for other in every)


def test_popcount_agrees_with_nix(cache: CacheServer, tmp_path: Path) -> None:
    listing = cache.directory / "store-paths"
    output = tmp_path / "popularity.json"
    known = str(tmp_path / "known.sqlite")
    paths = listing.read_text().split()
    cache.faults[f"{hash_part(paths[1])}.narinfo"] = [status(503), drop, status(429)]

    words = ["--cache", cache.url, "--store-paths", f"{cache.url}/store-paths"]
    assert run("popcount", *words, "--known", known, "--output", str(output)) == 0

    expected = {n: count for n, count in sorted(references(paths).items()) if count > 1}
    assert expected["libc-2.35"] >= 4
    assert output.read_text() == json.dumps(expected, separators=(",", ":"))


def test_popcount_reads_only_the_new_paths_of_a_longer_list(
    cache: CacheServer, tmp_path: Path
) -> None:
    known = str(tmp_path / "known.sqlite")
    listing = tmp_path / "list"
    paths = (cache.directory / "store-paths").read_text().split()
    listing.write_text("\n".join(paths[:2]))
    words = ["popcount", "--cache", cache.url, "--store-paths", str(listing), "--known", known]
    assert run(*words, "--output", str(tmp_path / "first.json")) == 0
    listing.write_text("\n".join(paths))
    cache.requests.clear()

    assert run(*words, "--output", str(tmp_path / "second.json")) == 0

    asked = {path for path in cache.requests if path.endswith(".narinfo")}
    assert len(asked) == len(set(paths)) - len(set(paths[:2]))


def test_popcount_continues_after_it_was_killed(tmp_path: Path) -> None:
    names = {f"p{i}-1": [f"p{i // 2}-1"] for i in range(BATCH + 300)}
    directory = make_cache(tmp_path / "cache", names)
    paths = sorted((store_path(name) for name in names), key=lambda path: path.hash_part)
    (directory / "list").write_text("\n".join(map(str, paths)))
    command = [sys.executable, "-m", "app", "popcount", "--store-paths", str(directory / "list")]
    command += ["--known", str(tmp_path / "known"), "--output", str(tmp_path / "popularity")]
    released = threading.Event()
    with serving(directory) as server:
        # The last answers do not come before the first run is dead.
        for path in paths[-100:]:
            server.faults[f"{path.hash_part}.narinfo"] = [hang(released)]
        first = start_process([*command, "--cache", server.url], stderr=subprocess.DEVNULL)
        wait_until(lambda: server.requests.total() > len(paths) - 100 + CONNECTIONS)
        wait_until(lambda: len(known_of(tmp_path / "known", server.url, paths)) == BATCH)
        first.kill()
        first.wait()
        released.set()
        server.faults.clear()
        server.requests.clear()

        second = subprocess.run(
            [*command, "--cache", server.url], check=False, stderr=subprocess.PIPE, text=True
        )

        assert second.returncode == 0, second.stderr
        assert server.requests.total() <= len(paths) - BATCH + 1
        assert f"{BATCH:,} known before" in second.stderr
    counts = json.loads((tmp_path / "popularity").read_bytes())
    assert len(counts) == (BATCH + 300) // 2


def known_of(file: Path, cache: str, paths: Sequence[StorePath]) -> Mapping[str, NarInfo]:
    with KnownNarInfos.open(file, cache=cache) as known:
        return known.read(path.hash_part for path in paths)


def test_server_loads_the_popularity_that_popcount_writes(
    cache: CacheServer, tmp_path: Path
) -> None:
    output = tmp_path / "popularity.json"
    run("popcount", "--cache", str(cache.directory), "--output", str(output))

    plan = asyncio.run(load_profile(str(output), MemoryStorage()))

    assert (
        plan.entries["libc"].users
        == references([f"/nix/store/{line.split('/')[-1]}" for line in _all(cache)])["libc-2.35"]
    )


def _all(cache: CacheServer) -> list[str]:
    return sorted(set((cache.directory / "store-paths").read_text().split()))


def test_plans_of_the_store_and_of_a_cache_agree(
    built: list[str], cache: CacheServer, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there.json"

    tops = [path for path in built if "git-lfs" in path or path.endswith("-dev")]
    assert run("plan", *tops, "--output", str(here)) == 0
    assert run("plan", "--cache", str(cache.directory), "--output", str(there)) == 0

    assert here.read_bytes() == there.read_bytes()
    entries = parse_profile(here.read_bytes()).entries
    assert entries["libc"].users == 5
    assert entries["git"] == ProfileEntry(entries["git-lfs"].cohort, 2)


def test_a_release_ships_the_plan_of_a_channel(
    built: list[str], cache: CacheServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The procedure of docs/releasing.md, with a channel on this machine."""
    channel = cache.directory / "nixos-test"
    channel.mkdir()
    (channel / "store-paths.xz").write_bytes(
        lzma.compress((cache.directory / "store-paths").read_bytes())
    )
    monkeypatch.setattr(store_path_list, "_CHANNELS", cache.url)
    words = ["--cache", cache.url, "--known", str(tmp_path / "known")]
    plans = tmp_path / "plans"
    plans.mkdir()

    assert run("plan", "--channel", "nixos-test", *words, "--output", str(plans / "n.json")) == 0

    closure = Closure(
        StoreObject(StorePath.parse(path), 1, ()) for path in nix("nix-store", "-qR", *built)
    )
    chosen = shipped_profiles(plans).choose(closure)
    assert chosen == parse_profile((plans / "n.json").read_bytes())


def test_plan_of_a_package_set_has_its_built_packages(
    built: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "plan.json"

    assert run("plan", "--packages", str(GRAPH), "--output", str(output)) == 0

    assert sorted(parse_profile(output.read_bytes()).entries) == ["git", "git-lfs", "libc", "libz"]
    assert "1 packages are not built" in capfd.readouterr().err


def test_missing_store_path_is_an_error_of_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    missing = f"/nix/store/{'0' * 32}-missing-1"

    assert run("plan", missing) == 1

    message = capfd.readouterr().err
    assert missing in message
    assert message.count("\n") == 1
