"""Response times for other clients of a server at rest and under attack.

usage: bench/attack.py [--packages DIRECTORY] [--names N] [--seconds N] [--connections N] [ATTACK ...]

The attacks, each for some seconds against a new server with empty storage:

  pipelining  connections that send small requests at full speed and read no responses
  log         a build with endless output
  names       connections that request unknown names, each once
  known       the same, while a new image of known packages is pulled
  search      searches
  plans       plans of unknown names and of a built image
  images      pages and documents of a built image
  events      clients that follow a build with endless output
  state       metrics, /debug, lists of builds
  lists       tags, the catalog, and paths that do not exist

Prints the response times of /healthz and of a built image's manifest before and during the attack,
and the server's memory and number of files.  The image's client has another address, as behind a
proxy.  The attackers run on the same processors.
"""

import argparse
import os
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.attacking.attacks import ATTACKS, attack
from bench.attacking.server import SET, Served, request_status, server
from bench.common import small_set

BUILT, FRESH = "/v2/hello/manifests/latest", "/v2/jq/hello/manifests/latest"
_HEAD_START = 2  # seconds for the attackers to start


def milliseconds(served: Served, path: str, until: float) -> list[float]:
    times = []
    with closing(served.connect()) as connection:
        while time.monotonic() < until:
            begun = time.perf_counter()
            status = request_status(connection, path)
            times.append((time.perf_counter() - begun) * 1000)
            if status != 200:
                sys.exit(f"{path}: {status}")
            time.sleep(0.01)
    return times


def show(what: str, path: str, times: Sequence[float]) -> None:
    ordered = sorted(times)
    high = ordered[int(len(ordered) * 0.99)]
    name = "/healthz" if path == "/healthz" else "built image"
    middle = statistics.median(ordered)
    print(f"{what:26}{name:14}{middle:9.1f}{high:9.1f}{ordered[-1]:9.1f}{len(ordered):8}")


def observe(what: str, served: Served, seconds: float) -> None:
    until = time.monotonic() + seconds
    found: dict[str, list[float]] = {}

    def watch(path: str) -> None:
        found[path] = milliseconds(served, path, until)

    threads = [threading.Thread(target=watch, args=(path,)) for path in ("/healthz", BUILT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path, times in found.items():
        show(what, path, times)


def run(name: str, packages: Path, connections: int, seconds: float, names: int) -> None:
    with tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory:
        home = Path(directory)
        (home / "packages").mkdir()
        text = SET % (packages, names, secrets.token_hex(8))
        (home / "packages" / "default.nix").write_text(text)
        with server(home / "packages", home) as served:
            for path in (BUILT, "/v2/jq/manifests/latest"):
                if served.status(path) != 200:
                    sys.exit(f"{path} cannot be built")
            observe(f"{name}: at rest", served, seconds / 3)
            before, memory = served.files(), served.memory_mib()
            until = time.monotonic() + seconds
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                attacking = pool.submit(attack, name, served, connections, until)
                time.sleep(_HEAD_START)
                begun = time.perf_counter()
                fresh = served.status(FRESH) if name == "known" else 0
                took = time.perf_counter() - begun
                observe(f"{name}: under attack", served, until - time.monotonic())
                statuses = attacking.result()
            print(
                f"{'':26}memory {memory:.0f} -> {served.memory_mib():.0f} MiB,"
                f" files {before} -> {served.files()}"
                + (f", responses {dict(statuses)}" if statuses else "")
                + (f", new image of known packages: {fresh} after {took:.1f} s" if fresh else "")
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"{', '.join(ATTACKS)}")
    parser.add_argument("--packages", type=Path, help="default: prepared now")
    parser.add_argument("--seconds", type=float, default=15, help="of each attack")
    parser.add_argument("--connections", type=int, default=100, help="for unknown names")
    parser.add_argument("--names", type=int, default=60_000, help="of the package set")
    arguments = parser.parse_args()
    if unknown := set(arguments.attacks) - set(ATTACKS):
        parser.error(f"unknown attack: {', '.join(sorted(unknown))}")
    packages = arguments.packages or small_set()
    print(f"{'':26}{'request':14}{'median':>9}{'p99':>9}{'max ms':>9}{'count':>8}")
    for name in arguments.attacks or ATTACKS:
        run(name, packages.absolute(), arguments.connections, arguments.seconds, arguments.names)
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
