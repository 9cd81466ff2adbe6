"""Time from request to manifest: packed for the first time, packed before, and built before.

usage: bench/again.py [--packages DIRECTORY] [--rounds N]

A new server with empty storage serves images of the small set.  "Packed before" are new images of
packages that were all in other images: their store paths must not be compressed again, only the
image's own layer of links to its packages.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.common import ROOT, small_set

FIRST = ("shell/git", "python3/curl", "jq/htop", "nginx/openssl", "perl/sqlite")
PACKAGES = ("git", "python3", "curl", "jq", "htop", "nginx", "openssl", "perl", "sqlite", "shell")
ACCEPT = "application/vnd.oci.image.manifest.v1+json"
START_SECONDS = 60
RESPONSE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one manifest; ``compressed`` is in bytes of tar."""

    seconds: float
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
        begun = time.perf_counter()
        self.get(f"/v2/{name}/manifests/latest")
        seconds = time.perf_counter() - begun
        after = self._activity()
        return Measured(
            seconds,
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


def show(what: str, pulls: Sequence[Measured]) -> None:
    times = sorted(pull.seconds * 1000 for pull in pulls)
    print(
        f"{what:44}{statistics.median(times):9.1f} {times[-1]:9.1f}"
        f" {sum(pull.paths_packed for pull in pulls):8}"
        f" {sum(pull.compressed for pull in pulls) / len(pulls) / 1000:12.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--packages", type=Path, help="default: prepared now")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    packages = arguments.packages or small_set()
    new = combinations(arguments.rounds)
    print(f"{'request to manifest':44}median ms    max ms    paths  kB of tar")
    print(f"{'':44}{'':21}packed compressed, each")
    with tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory:
        state = Path(directory)
        with running(state, packages) as server:
            show("packed for the first time", [server.pull(name) for name in FIRST])
            show("packed before, another image", [server.pull(name) for name in new])
            show("built before", [server.pull(name) for name in new])
        with running(state, packages) as server:
            show("built before, after a restart", [server.pull(name) for name in new])
            rest = combinations(2 * arguments.rounds)[arguments.rounds :]
            show("packed before, after a restart", [server.pull(name) for name in rest])


if __name__ == "__main__":
    main()
