"""A first pull from a binary cache: packed while it is downloaded, and by way of Nix's store.

usage: bench/first_pull.py [--size MIB] [--paths N] [--compression zstd|xz] [--latency MS]
                           [--bandwidth MBIT] [--rounds N] [--channel DIRECTORY]
                           [--nix own|trixie|sid] [--today REVISION]

Each round starts servers with an empty Nix store, one for each way, and requests one manifest.
``--today`` adds the server of another revision that has no way but Nix's, such as f5cb256.
The baseline is the larger of two times: an ideal client's with 48 connections, and the CPU time of
decompressing, hashing and packing, and of the cache on this machine, over the cores.  On a busy
machine compare with the time of that packing in the same round, and the CPU times of both.
Evaluation ends with the first request for a narinfo, from which the times of steps count.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.nix.closure import StorePath
from bench.pulling.archives import packing
from bench.pulling.channel import Cache, ideal, root_of, served
from bench.pulling.first import pull
from bench.requests import source_tree
from scripts.channel.contents import make
from tests.e2e.newer_nix import unpack_nix

_MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--paths", type=int, default=60)
    parser.add_argument("--compression", choices=["zstd", "xz"], default="zstd")
    parser.add_argument("--latency", type=float, default=20)
    parser.add_argument("--bandwidth", type=float, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--channel", type=Path)
    parser.add_argument("--nix", choices=["own", "trixie", "sid"], default="own")
    parser.add_argument("--today", metavar="REVISION")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        if options.channel is None:
            options.channel = Path(scratch, "channel")
            size = options.size * _MIB
            compression = options.compression
            make(options.channel, compression=compression, size=size, paths=options.paths)
        root = root_of(options.channel)
        with ExitStack() as stack:
            today = stack.enter_context(source_tree(options.today)) if options.today else None
            cache = stack.enter_context(served(options.channel, options.latency, options.bandwidth))
            _report(options, cache, root, Path(scratch), today)


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def _report(
    options: argparse.Namespace, cache: Cache, root: StorePath, scratch: Path, today: Path | None
) -> None:
    cores = os.cpu_count() or 1
    nix = None if options.nix == "own" else unpack_nix(options.nix, _directory(scratch / "nix"))
    ratios = []
    for number in range(options.rounds):
        begun = cache.cpu
        download = ideal(cache, root)
        serving = cache.cpu - begun
        packed, cpu = packing(options.channel, scratch / f"packed-{number}")
        streamed, stored = (
            pull(options.channel, cache, nix, streaming=way) for way in (True, False)
        )
        baseline, busy = max(download, (cpu + serving) / cores), max(download, packed)
        ratios.append(streamed.rest / baseline)
        print(
            f"ideal download {download:.2f} s, packing {packed:.2f} s, its CPU {cpu:.2f} s,"
            f" the cache's {serving:.2f} s;"
            f" streamed {streamed.rest:.2f} s, its CPU {streamed.cpu:.2f} s ({streamed.rest / baseline:.2f} of the baseline,"
            f" {streamed.rest / busy:.2f} of a busy one, evaluation"
            f" {streamed.evaluation:.2f} s, {streamed.memory // _MIB} MiB,"
            f" liveness {streamed.lateness * 1000:.0f} ms at most);"
            f" by way of Nix {stored.rest:.2f} s ({stored.rest / streamed.rest:.1f} times as long,"
            f" {stored.memory // _MIB} MiB, liveness {stored.lateness * 1000:.0f} ms)",
            flush=True,
        )
        print(
            "; ".join(
                f"{step} {first:.2f} to {last:.2f} s"
                for step, (first, last) in streamed.steps.items()
            ),
            flush=True,
        )
        if today is not None:
            before = pull(options.channel, cache, nix, streaming=False, tree=today)
            print(
                f"the server of {options.today}: {before.rest:.2f} s"
                f" ({before.rest / streamed.rest:.1f} times as long, evaluation"
                f" {before.evaluation:.2f} s, {before.memory // _MIB} MiB,"
                f" liveness {before.lateness * 1000:.0f} ms)",
                flush=True,
            )
    print(f"median {statistics.median(ratios):.2f} of the baseline")


if __name__ == "__main__":
    main()
