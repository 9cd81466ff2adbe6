"""A first pull from a binary cache: packed while it is downloaded, and by way of Nix's store.

usage: bench/first_pull.py [--size MIB] [--paths N] [--compression zstd|xz] [--latency MS]
                           [--bandwidth MBIT] [--rounds N] [--channel DIRECTORY]
                           [--nix own|trixie|sid] [--today REVISION] [--against REVISION]
                           [--only-streamed] [--timeline] [--ahead]

Each round starts servers with an empty Nix store, one for each way, and requests one manifest.
``--today`` adds the server of another revision that has no way but Nix's, such as f5cb256, and
``--against`` one of another revision that streams as well.  Before each measurement, and outside of
its time, everything is written to the disk and the archives are read into memory, so that none pays
for what the one before it left.  The event loop's delay is that of a timer in the server; the time of
a liveness request also has the client's share.  ``--timeline`` prints when each step began and
ended, and the CPU time of each kind of thread.

The baseline is the larger of two times: an ideal client's with 48 connections, and the CPU time of
decompressing, hashing and packing, and of the cache on this machine, over the cores.  On a busy
machine compare with the time of that packing in the same round, and the CPU times of both; or
give all that is measured the processor before other programs, which then stand still (``--ahead``).
Evaluation ends with the first request for a narinfo, from which the times of steps count.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.nix.closure import StorePath
from bench.common import source_tree
from bench.pulling.archives import packing
from bench.pulling.channel import Cache, ideal, root_of, served
from bench.pulling.first import Pull, Way, pull
from bench.pulling.settling import settle
from scripts.channel.contents import make
from tests.e2e.newer_nix import unpack_nix

_MIB = 1 << 20
_SHOWN = 0.01


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
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--only-streamed", action="store_true", help="leave out the way by Nix")
    parser.add_argument("--timeline", action="store_true")
    parser.add_argument("--ahead", action="store_true", help="before other programs; as root")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        if options.channel is None:
            options.channel = Path(scratch, "channel")
            size = options.size * _MIB
            compression = options.compression
            make(options.channel, compression=compression, size=size, paths=options.paths)
        root = root_of(options.channel)
        if options.ahead:
            # Above that of the server's threads for packing; processes that are started inherit it.
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
        with ExitStack() as stack:
            others = {
                revision: stack.enter_context(source_tree(revision))
                for revision in (options.today, options.against)
                if revision is not None
            }
            cache = stack.enter_context(served(options.channel, options.latency, options.bandwidth))
            Comparison(options, cache, root, Path(scratch), others).run()


class Comparison:
    """The ways to a manifest, round by round; ``others`` are source trees by their revisions."""

    def __init__(
        self,
        options: argparse.Namespace,
        cache: Cache,
        root: StorePath,
        scratch: Path,
        others: Mapping[str, Path],
    ) -> None:
        self._options = options
        self._cache = cache
        self._root = root
        self._scratch = scratch
        self._nix = None if options.nix == "own" else unpack_nix(options.nix, _new(scratch / "nix"))
        self._ways: dict[str, Way] = {"streamed": Way()}
        if options.against:
            self._ways[options.against] = Way(tree=others[options.against])
        if not options.only_streamed:
            self._ways["by way of Nix"] = Way(streaming=False)
        if options.today:
            self._ways[f"the server of {options.today}"] = Way(
                streaming=False, tree=others[options.today], is_old=True
            )
        self._ratios: dict[str, list[float]] = {name: [] for name in self._ways}
        self._cpu: dict[str, list[float]] = {name: [] for name in self._ways}
        self._times: dict[str, list[float]] = {name: [] for name in self._ways}
        self._streamed = 0.0

    def run(self) -> None:
        for number in range(self._options.rounds):
            baseline = self._baseline(number)
            for name, way in self._ways.items():
                pulled = pull(self._options.channel, self._cache, self._nix, way)
                self._note(name, pulled, baseline)
        for name in self._ways:
            print(
                f"median of {name}: {statistics.median(self._ratios[name]):.2f} of the baseline,"
                f" {statistics.median(self._times[name]):.2f} times as long as streamed,"
                f" CPU {statistics.median(self._cpu[name]):.2f} s"
            )

    def _baseline(self, number: int) -> float:
        channel, cache = self._options.channel, self._cache
        settle(channel)
        begun = cache.cpu
        download = ideal(cache, self._root)
        serving = cache.cpu - begun
        settle(channel)
        packed, cpu = packing(channel, self._scratch / f"packed-{number}")
        baseline = max(download, (cpu + serving) / (os.cpu_count() or 1))
        print(
            f"baseline {baseline:.2f} s: ideal download {download:.2f} s, packing {packed:.2f} s,"
            f" its CPU {cpu:.2f} s, the cache's {serving:.2f} s",
            flush=True,
        )
        return baseline

    def _note(self, name: str, pulled: Pull, baseline: float) -> None:
        ratio = pulled.rest / baseline
        self._ratios[name].append(ratio)
        self._cpu[name].append(pulled.cpu)
        if name == "streamed":
            self._streamed = pulled.rest
        times = pulled.rest / self._streamed
        self._times[name].append(times)
        print(
            f"  {name}: {pulled.rest:.2f} s, {ratio:.2f} of the baseline,"
            f" {times:.2f} times as long as streamed, CPU {pulled.cpu:.2f} s,"
            f" evaluation {pulled.evaluation:.2f} s, {pulled.memory // _MIB} MiB,"
            f" event loop late by {pulled.lateness * 1000:.0f} ms at most,"
            f" liveness {pulled.liveness * 1000:.0f} ms",
            flush=True,
        )
        if self._options.timeline:
            steps = (f"{step} {a:.2f} to {b:.2f} s" for step, (a, b) in pulled.steps.items())
            print(f"    {'; '.join(steps)}")
            threads = (f"{kind} {s:.2f} s" for kind, s in pulled.threads.items() if s >= _SHOWN)
            print(f"    CPU of threads: {', '.join(threads)}", flush=True)


def _new(path: Path) -> Path:
    path.mkdir()
    return path


if __name__ == "__main__":
    main()
