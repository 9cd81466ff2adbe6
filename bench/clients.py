"""Time that real clients take to pull built images, relative to the layers that Nixery makes.

usage: bench/clients.py [--rounds N] [--image NAME ...] [--client NAME ...]

The baseline has the same files, grouped by Nixery's rule (popular from 100 references on) and
compressed by zlib's level 6 as one stream.  One server serves both, by digest.  Each pull is that
of a new client, and the two kinds of layers are pulled in turn.  Needs root, and 12 GB for five
rounds: nothing is deleted before the end.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.oci import Digest
from app.request import ALWAYS, META
from bench.again import Server, running
from bench.common import lock, small_set
from bench.grouping.baselines import by_dominance
from bench.grouping.packageset import PackageSet, built_packages
from bench.pulling import recut, timing
from bench.pulling.recut import Image
from bench.pulling.timing import Times
from bench.sharing import BUDGET, references

IMAGES = ("shell/git/htop", "python3/curl")
CLIENTS = ("docker", "podman", "containerd", "skopeo")
THRESHOLD = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """One image in the server's layers and in the baseline's."""

    name: str
    ours: Image
    baseline: Image


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image", action="append")
    parser.add_argument("--client", action="append", choices=CLIENTS)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench/clients.py: docker, podman and containerd need root")
    directory = small_set()
    packages = built_packages(lock(directory))
    with tempfile.TemporaryDirectory(prefix="nixery-bench-") as home:
        state = Path(home) / "server"
        state.mkdir()
        with running(state, directory) as server:
            pairs = [
                prepare(server, state / "storage", packages, name)
                for name in arguments.image or IMAGES
            ]
            print(
                f"{'client':12}{'image':17}{'layers':8}{'number':>7}{'MB':>8}{'fetched s':>11}"
                f"{'rest s':>8}{'total s':>9}{'ratio':>7}"
            )
            for pair in pairs:
                for client in arguments.client or CLIENTS:
                    pulls = Pulls(server, client, Path(home))
                    report(client, pair, pulls.measure(pair, arguments.rounds))
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f}")


def prepare(server: Server, storage: Path, packages: PackageSet, name: str) -> Pair:
    """Build the image, and store it in the baseline's layers too."""
    document = server.get(f"/v2/{name}/manifests/latest")
    manifest = json.loads(document)

    def blob(descriptor: dict[str, str]) -> bytes:
        return server.get(f"/v2/{name}/blobs/{descriptor['digest']}")

    contents = recut.read_contents([blob(layer) for layer in manifest["layers"]])
    requested = {
        packages.attributes[attribute]
        for part in (*ALWAYS, *name.split("/"))
        for attribute in META.get(part, (part,))
        if attribute in packages.attributes
    }
    closure = packages.closure(path for path in contents.paths)
    everything = packages.closure(packages.objects)
    layers = by_dominance(closure, frozenset(requested), references(everything), BUDGET, THRESHOLD)
    config = json.loads(blob(manifest["config"]))
    baseline = asyncio.run(recut.write_image(storage, config, contents, layers))
    return Pair(name, recut.described(str(Digest.of(document)), document), baseline)


@dataclass(frozen=True, slots=True)
class Pulls:
    """Pulls by new clients of one kind, below ``home``."""

    server: Server
    client: str
    home: Path

    def measure(self, pair: Pair, rounds: int) -> dict[str, list[Times]]:
        """Pull both in turn; the first pull of each only fills caches of the server."""
        images = {"ours": pair.ours, "baseline": pair.baseline}
        found: dict[str, list[Times]] = {kind: [] for kind in images}
        for number in range(rounds + 1):
            for kind in sorted(images, reverse=number % 2 == 0):
                times = self._pull(f"{pair.name}@{images[kind].digest}")
                if number:
                    found[kind].append(times)
        return found

    def _pull(self, image: str) -> Times:
        home = Path(tempfile.mkdtemp(prefix=f"{self.client}-", dir=self.home))
        with timing.empty_client(self.client, home) as client:
            return timing.pull(client, f"localhost:{self.server.port}/{image}")


def report(client: str, pair: Pair, found: dict[str, list[Times]]) -> None:
    baseline = statistics.median(times.total for times in found["baseline"])
    for kind, image in (("baseline", pair.baseline), ("ours", pair.ours)):
        total = statistics.median(times.total for times in found[kind])
        fetches = [times.fetched for times in found[kind] if times.fetched is not None]
        fetched = statistics.median(fetches) if fetches else None
        parts = "-       -" if fetched is None else f"{fetched:.2f}{total - fetched:8.2f}"
        print(
            f"{client:12}{pair.name:17}{kind:8}{image.layers:7}{image.size / 1e6:8.1f}"
            f"{parts:>19}{total:9.2f}{total / baseline:7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
