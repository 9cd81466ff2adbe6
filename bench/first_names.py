"""First names of a revision on a machine without derivation files, all in a binary cache.

usage: bench/first_names.py [--count N] [--rounds N] [--today REVISION]

Servers with an empty Nix store request the manifests of six packages, one after another.  Each is
built from the same N derivations and 50 of its own; a path in the cache is a small file.
``--today`` adds the server of another revision; the rounds alternate.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.nix.closure import StorePath
from app.builder.nix.nar import encode
from bench.common import source_tree
from bench.observing import cpu
from bench.pulling.channel import Cache, served
from scripts.channel.cache import CacheWriter, SigningKey
from tests.e2e.newer_nix import own_nix
from tests.e2e.process import SYSTEM_PATH
from tests.e2e.server import Server

_HERE = Path(__file__).resolve().parent
_NAMES = tuple(f"p{number}" for number in range(6))


def fill(channel: Path, packages: Path, count: int) -> None:
    """Write a package set with new store paths, and a cache that has all of them."""
    packages.mkdir(parents=True)
    for name in ("derivations.nix", "first_names.nix"):
        text = (_HERE / name).read_text().replace('salt ? ""', f'salt ? "{uuid.uuid4()}"')
        text = text.replace("count ? 2000", f"count ? {count}")
        (packages / name.replace("first_names", "default")).write_text(text)
    outputs = f"map (p: p.outPath) (builtins.attrValues (import {packages} {{ }}))"
    evaluate = ["nix-instantiate", "--eval", "--strict", "--json", "--readonly-mode", "-E", outputs]
    done = subprocess.run(evaluate, check=True, capture_output=True)
    writer = CacheWriter(channel, SigningKey.new("channel-1"), "zstd")
    writer.begin()
    for path in json.loads(done.stdout):
        content = path.encode()
        writer.add(
            StorePath.parse(path),
            encode(b"nix-archive-1", b"(", b"type", b"regular", b"contents", content, b")"),
        )
    (channel / "public").write_text(writer.key.public)


def pull(channel: Path, packages: Path, cache: Cache, tree: Path) -> tuple[list[float], float, int]:
    """Return the seconds of each request, the server's CPU seconds, and the derivations written."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        (home / "nixery.toml").write_text(
            f'[[sources]]\nname = "sim"\nkind = "path"\nlocation = "{packages}"\n'
            f'base = ""\nsubstituters = ["{cache.url}"]\n'
        )
        key = (channel / "public").read_text()
        within = (*own_nix(home).within, "env", "-C", str(tree))
        server = Server(
            home,
            packages,
            within,
            PATH=SYSTEM_PATH,
            NIXERY_CONFIG=str(home / "nixery.toml"),
            NIX_CONFIG=f"trusted-public-keys = {key}\nbuild-users-group =",
        )
        server.start()
        try:
            before = cpu(server)
            times = []
            for name in _NAMES:
                begun = time.perf_counter()
                response = server.get(f"/v2/sim/{name}/manifests/latest", timeout=600)
                assert response.status_code == 200, response.text
                times.append(time.perf_counter() - begun)
            written = sum(1 for _ in (home / "nix" / "store").glob("*.drv"))
            return times, cpu(server) - before, written
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--today", metavar="REVISION")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nixery-bench-") as scratch:
        channel, packages = Path(scratch, "channel"), Path(scratch, "set")
        channel.mkdir()
        fill(channel, packages, options.count)
        today = source_tree(options.today) if options.today else nullcontext(None)
        with today as tree, served(channel, 20, 1000) as cache:
            trees = {"this server": _HERE.parent}
            if tree is not None:
                trees[options.today] = tree
            rows: dict[str, list[tuple[list[float], float, int]]] = {name: [] for name in trees}
            for _ in range(options.rounds):
                for name, each in trees.items():
                    rows[name].append(pull(channel, packages, cache, each))
    print(f"{'':20}{'first s':>9}{'second s':>10}{'others s':>10}{'CPU s':>8}{'derivations':>13}")
    for name, pulls in rows.items():
        first, second = (statistics.median(times[n] for times, _, _ in pulls) for n in (0, 1))
        others = statistics.median(one for times, _, _ in pulls for one in times[2:])
        used = statistics.median(used for _, used, _ in pulls)
        print(f"{name:20}{first:9.2f}{second:10.2f}{others:10.2f}{used:8.2f}{pulls[-1][2]:13}")


if __name__ == "__main__":
    main()
