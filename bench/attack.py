"""Response times for other clients of a server at rest and under attack.

usage: bench/attack.py [--packages DIRECTORY] [--seconds N] [--connections N] [ATTACK ...]

The attacks, each for some seconds against a new server with empty storage:

  pipelining  connections that send small requests at full speed and read no responses
  log         a build with endless output
  names       connections that request unknown names, each once
  known       the same, while a new image of known packages is pulled

Prints the response times of /healthz and of a built image's manifest before and during the attack,
and the server's memory and number of files.  The image's client has another address, as behind a
proxy.  The attackers run on the same processors.
"""

import argparse
import os
import secrets
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.common import ROOT, small_set

BUILT, FRESH = "/v2/hello/manifests/latest", "/v2/jq/hello/manifests/latest"
_HEAD_START = 2  # seconds for the attackers to start
OTHER = {"X-Forwarded-For": "192.0.2.7"}
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
PIPELINED = 10_000_000  # bytes of each connection
LOUD = """
arguments: let set = import %s arguments; in set // {
  loud = derivation {
    name = "loud-%s";
    system = arguments.system or builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done" ];
  };
}
"""


@dataclass(slots=True)
class Served:
    """A running server."""

    pid: int
    port: int
    storage: Path

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=120)

    def status(self, path: str) -> int:
        with closing(self.connect()) as connection:
            return request_status(connection, path)

    def memory_mib(self) -> float:
        """Return the peak so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def files(self) -> int:
        return sum(path.is_file() for path in self.storage.rglob("*"))


def request_status(connection: HTTPConnection, path: str) -> int:
    connection.request("GET", path, headers=OTHER)
    response = connection.getresponse()
    response.read()
    return response.status


@contextmanager
def server(packages: Path, home: Path) -> Iterator[Served]:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "NIX_CONF_DIR") if name in os.environ},
        "NIXERY_PORT": "0",
        "NIXERY_PKGS_PATH": str(packages),
        "NIXERY_STATE_PATH": str(home / "state"),
        "NIXERY_STORAGE_PATH": str(home / "storage"),
        "NIXERY_LOG_FORMAT": "human",
        "NIXERY_DRAIN_SECONDS": "0",
    }
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield Served(process.pid, port_of(log, process), home / "storage")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def port_of(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        _, found, rest = log.read_text(errors="replace").partition("listening on http://127.0.0.1:")
        port = rest.split("\n")[0].strip()
        with suppress(OSError, ValueError, HTTPException):
            connection = HTTPConnection("127.0.0.1", int(port), timeout=5)
            with closing(connection):
                if found and request_status(connection, "/healthz") == 200:
                    return int(port)
        time.sleep(0.1)
    sys.exit(f"the server does not start:\n{log.read_text(errors='replace')[-2000:]}")


def pipeline(served: Served, until: float) -> Counter[int]:
    data = memoryview(REQUEST * (PIPELINED // len(REQUEST)))
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.settimeout(0)
        sent = 0
        while sent < len(data) and (left := until - time.monotonic()) > 0:
            if select.select([], [client], [], left)[1]:
                with suppress(BlockingIOError):
                    sent += client.send(data[sent : sent + (1 << 16)])
        time.sleep(max(0, until - time.monotonic()))
    return Counter()


def print_without_end(served: Served, until: float) -> Counter[int]:
    """Start a build that continues until its log is too long or the server stops."""
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=1)) as client:
        client.request("GET", "/v2/loud/manifests/latest")
        time.sleep(max(0, until - time.monotonic()))
    return Counter()


def request_unknown(served: Served, until: float) -> Counter[int]:
    statuses: Counter[int] = Counter()
    with closing(served.connect()) as client:
        while time.monotonic() < until:
            client.request("GET", f"/v2/x{secrets.token_hex(8)}/manifests/latest")
            response = client.getresponse()
            response.read()
            statuses[response.status] += 1
    return statuses


ATTACKS: dict[str, Callable[[Served, float], Counter[int]]] = {
    "pipelining": pipeline,
    "log": print_without_end,
    "names": request_unknown,
    "known": request_unknown,
}


def attack(name: str, served: Served, connections: int, until: float) -> Counter[int]:
    """Attack from another process, whose threads do not delay the measurement."""
    count = {"pipelining": 40, "log": 1}.get(name, connections)
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(ATTACKS[name], served, until) for _ in range(count)]
        return sum((each.result() for each in running), Counter())


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


def run(name: str, packages: Path, connections: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory:
        home = Path(directory)
        (home / "packages").mkdir()
        text = LOUD % (packages, secrets.token_hex(8))
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
    arguments = parser.parse_args()
    if unknown := set(arguments.attacks) - set(ATTACKS):
        parser.error(f"unknown attack: {', '.join(sorted(unknown))}")
    packages = arguments.packages or small_set()
    print(f"{'':26}{'request':14}{'median':>9}{'p99':>9}{'max ms':>9}{'count':>8}")
    for name in arguments.attacks or ATTACKS:
        run(name, packages.absolute(), arguments.connections, arguments.seconds)
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
