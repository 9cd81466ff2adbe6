"""Time from request to manifest: packed for the first time, packed before, and built before.

usage: bench/again.py [--packages DIRECTORY] [--rounds N] [--against REVISION]

A new server with empty storage serves images of the small set.  "Packed before" are new images of
packages that were all in other images: their store paths must not be compressed again, only the
image's own layer of links to its packages.  With another revision of this repository, its server
answers the same requests in turn; the ratios are medians of time, and CPU time of the server.
"""

import argparse
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.common import ROOT, cpu_seconds, small_set, source_tree

FIRST = ("shell/git", "python3/curl", "jq/htop", "nginx/openssl", "perl/sqlite")
PACKAGES = ("git", "python3", "curl", "jq", "htop", "nginx", "openssl", "perl", "sqlite", "shell")
ACCEPT = "application/vnd.oci.image.manifest.v1+json"
START_SECONDS = 60
RESPONSE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one manifest; ``compressed`` is in bytes of tar."""

    seconds: float
    cpu: float
    paths_packed: int
    compressed: int


class Server:
    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid
        self._connection = HTTPConnection("127.0.0.1", port, timeout=RESPONSE_SECONDS)

    def pull(self, name: str) -> Measured:
        """Request a manifest, following redirects."""
        before = self._activity()
        begun, cpu = time.perf_counter(), cpu_seconds(self.pid)
        self.get(f"/v2/{name}/manifests/latest")
        seconds, cpu = time.perf_counter() - begun, cpu_seconds(self.pid) - cpu
        after = self._activity()
        return Measured(
            seconds,
            cpu,
            after["packing.paths_packed"] - before["packing.paths_packed"],
            after["packing.compressed_bytes"] - before["packing.compressed_bytes"],
        )

    def close(self) -> None:
        self._connection.close()

    def _activity(self) -> dict[str, int]:
        activity: dict[str, int] = json.loads(self.get("/debug"))["activity"]
        return activity

    def get(self, target: str) -> bytes:
        while True:
            self._connection.request("GET", target, headers={"Accept": f"{ACCEPT}, */*"})
            response = self._connection.getresponse()
            body = response.read()
            if response.status == 200:
                return body
            if response.status != 307:
                raise RuntimeError(f"{target}: {response.status} {body.decode()[:300]}")
            target = response.headers["Location"].removeprefix("http://").partition("/")[2]
            target = f"/{target}"


@contextmanager
def running(state: Path, packages: Path, root: Path = ROOT, **settings: str) -> Iterator[Server]:
    """Run the server of the source tree ``root``; ``settings`` are environment variables."""
    log = state / "server.log"
    environment = {
        "NIXERY_PORT": "0",
        "NIXERY_PKGS_PATH": str(packages),
        "NIXERY_STORAGE": "filesystem",
        "NIXERY_STORAGE_PATH": str(state / "storage"),
        "NIXERY_STATE_PATH": str(state),
        "NIX_CONFIG": "substitute = false" + ("\nbuild-users-group =" * (os.geteuid() == 0)),
        **settings,
    }
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=root,
            env={**os.environ, **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Server(listening_port(process, log), process.pid)
        yield server
        server.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)


def listening_port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on http://[^\s\"]*?:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")


def combinations(count: int) -> list[str]:
    """Return images of two to four packages that are not among the first."""
    sizes = itertools.cycle((2, 3, 4))
    found: list[str] = []
    sets = {size: itertools.combinations(PACKAGES, size) for size in (2, 3, 4)}
    first = {frozenset(name.split("/")) for name in FIRST}
    while len(found) < count:
        chosen = next(sets[next(sizes)])
        if frozenset(chosen) not in first:
            found.append("/".join(chosen))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--packages", type=Path, help="default: prepared now")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--against", metavar="REVISION")
    arguments = parser.parse_args()
    packages = arguments.packages or small_set()
    trees = {"this tree": ROOT}
    with ExitStack() as stack:
        if arguments.against:
            trees[arguments.against] = stack.enter_context(source_tree(arguments.against))
        states = {
            tree: Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nixery-bench-")))
            for tree in trees
        }

        @contextmanager
        def servers() -> Iterator[dict[str, Server]]:
            with ExitStack() as started:
                yield {
                    tree: started.enter_context(running(states[tree], packages, root))
                    for tree, root in trees.items()
                }

        measure(servers, combinations(2 * arguments.rounds), arguments.rounds)


def measure(
    servers: Callable[[], AbstractContextManager[dict[str, Server]]], new: list[str], rounds: int
) -> None:
    """Print the costs of images; ``servers`` starts all servers, with the storage they had."""
    print(f"{'request to manifest':42}median ms    max ms  CPU ms    paths  kB of tar")
    print(f"{'':42}{'':25}  packed compressed, each")
    with servers() as running_servers:
        show("packed for the first time", pull_all(running_servers, FIRST))
        show("packed before, another image", pull_all(running_servers, new[:rounds]))
        show("built before", pull_all(running_servers, new[:rounds]))
    with servers() as running_servers:
        show("built before, after a restart", pull_all(running_servers, new[:rounds]))
        show("packed before, after a restart", pull_all(running_servers, new[rounds:]))


def pull_all(servers: dict[str, Server], names: Sequence[str]) -> dict[str, list[Measured]]:
    """Pull each image from one server after another."""
    pulls: dict[str, list[Measured]] = {tree: [] for tree in servers}
    for name in names:
        for tree, server in servers.items():
            pulls[tree].append(server.pull(name))
    return pulls


def show(what: str, trees: dict[str, list[Measured]]) -> None:
    medians: list[float] = []
    costs: list[float] = []
    for tree, pulls in trees.items():
        times = sorted(pull.seconds * 1000 for pull in pulls)
        medians.append(statistics.median(times))
        costs.append(statistics.mean(pull.cpu for pull in pulls) * 1000)
        print(
            f"{what if not medians[1:] else '  ' + tree:40}{medians[-1]:11.1f} {times[-1]:9.1f}"
            f"{costs[-1]:8.1f} {sum(pull.paths_packed for pull in pulls):8}"
            f" {sum(pull.compressed for pull in pulls) / len(pulls) / 1000:10.1f}"
        )
    if medians[1:]:
        # The clock counts 10 ms, which may be more than all of these requests took.
        cost = f"{costs[0] / costs[1]:18.2f}" if costs[1] else ""
        print(f"  {'ratio':38}{medians[0] / medians[1]:11.2f}{cost}")


if __name__ == "__main__":
    main()
