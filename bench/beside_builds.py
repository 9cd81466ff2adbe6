"""Response times of built images while two other images are being built.

usage: bench/beside_builds.py [--connections N] [--rounds N] [--against REVISION]

A server with empty storage packs all packages of the small set, two at a time.  At the same time
another process requests an image that is built already.  The baselines are the same without builds,
and the server of another revision of this repository, in turn.
"""

import argparse
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.builder.names.name_index import typed
from bench.again import Server, running
from bench.common import ROOT, lock, small_set, source_tree
from bench.grouping.packageset import built_packages
from bench.requests import IMAGE, Target, load, message

BUILDS = 2
SECONDS = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", metavar="REVISION")
    arguments = parser.parse_args()
    packages = small_set()
    times: dict[str, list[float]] = {}
    with ExitStack() as stack:
        trees = {"": ROOT}
        if arguments.against:
            tree = stack.enter_context(source_tree(arguments.against))
            trees[f", {arguments.against}"] = tree
        for _ in range(arguments.rounds):
            for name, root in trees.items():
                for what, found in measure(root, packages, arguments.connections).items():
                    times.setdefault(f"{what}{name}", []).extend(found)
    report(times)


def measure(root: Path, packages: Path, connections: int) -> dict[str, list[float]]:
    """Return the response times of the server of this source tree."""
    attributes = built_packages(lock(packages)).attributes
    names = sorted(name for name in map(typed, attributes) if name is not None)
    times: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory,
        running(Path(directory), packages, root) as server,
    ):
        server.pull(IMAGE)
        manifest = message("GET", f"/v2/{IMAGE}/manifests/latest")
        targets = [
            Target("manifest by tag", server.port, server.pid, manifest),
            Target("version check", server.port, server.pid, message("GET", "/v2/")),
        ]

        def request(when: str) -> None:
            for target in targets:
                found = load(target, SECONDS, connections).times
                times.setdefault(f"{target.name}, {when}", []).extend(found)

        with building(server, names) as builds:
            while any(build.is_alive() for build in builds):
                request("beside builds")
        for _ in range(4):
            request("alone")
    return times


@contextmanager
def building(server: Server, names: list[str]) -> Iterator[list[threading.Thread]]:
    """Build an image of each package, some at a time, until the context ends."""
    left = iter(names)
    ending = threading.Event()

    def build() -> None:
        client = Server(server.port, server.pid)
        while not ending.is_set() and (name := next(left, None)):
            client.get(f"/v2/{name}/manifests/latest")
        client.close()

    threads = [threading.Thread(target=build) for _ in range(BUILDS)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def report(times: dict[str, list[float]]) -> None:
    print(f"{'':40}requests  median ms    99 % ms   slowest ms")
    for what, found in sorted(times.items()):
        ordered = sorted(found)
        print(
            f"{what:40}{len(ordered):8}{ordered[len(ordered) // 2] * 1e3:11.2f}"
            f"{ordered[len(ordered) * 99 // 100] * 1e3:11.2f}{ordered[-1] * 1e3:13.1f}"
        )
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
