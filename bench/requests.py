"""Requests per second, and the server's CPU time for a whole pull of a built image.

usage: bench/requests.py [--seconds N] [--connections N] [--against REVISION]

The baseline of requests is an empty route of FastAPI on the same server class, in the same run: the
cost of the framework.  That of pulls is the server of another revision of this repository.  The
client is another process that uses little CPU.  Rounds of all targets alternate and the median
counts.
"""

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import uvloop
from fastapi import FastAPI

from app.server.listening import listen, url_of
from app.server.server import Server
from bench.again import ACCEPT, running
from bench.again import Server as RunningServer
from bench.common import cpu_seconds, cpu_times, small_set, source_tree

IMAGE = "shell/git"
EMPTY = "an empty FastAPI route"
ROUNDS = 5
PULLS = 30


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    port: int
    pid: int
    request: bytes

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)


@dataclass(frozen=True, slots=True)
class Sample:
    """Results of a round; ``times`` is in seconds, for each request."""

    rate: float
    cpu: float
    times: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[2].removeprefix("usage: "))
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--against", metavar="REVISION", help="compare pulls with this revision")
    arguments = parser.parse_args()
    packages = small_set()
    with (
        tempfile.TemporaryDirectory(prefix="nixery-bench-") as directory,
        running(Path(directory), packages) as server,
        empty_application() as (port, pid),
    ):
        server.pull(IMAGE)
        manifest = f"/v2/{IMAGE}/manifests/latest"
        targets = (
            Target(EMPTY, port, pid, message("GET", "/")),
            Target("GET manifest by tag", server.port, server.pid, message("GET", manifest)),
            Target("HEAD manifest by tag", server.port, server.pid, message("HEAD", manifest)),
            Target("GET /v2/", server.port, server.pid, message("GET", "/v2/")),
        )
        samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
        for _ in range(ROUNDS):
            for target in targets:
                samples[target.name].append(load(target, arguments.seconds, arguments.connections))
        report(targets, samples)
        if arguments.against:
            with (
                source_tree(arguments.against) as root,
                tempfile.TemporaryDirectory(prefix="nixery-bench-") as state,
                running(Path(state), packages, root) as other,
            ):
                other.pull(IMAGE)
                report_pulls({"this tree": server, arguments.against: other})


def report_pulls(servers: Mapping[str, RunningServer]) -> None:
    """Pull an image again and again, all blobs on one connection as a cold client does."""
    cpu = {name: [0.0, 0.0] for name in servers}
    size = 0
    for _ in range(PULLS):
        for name, server in servers.items():
            before = cpu_times(server.pid)
            size = pull_everything(server.port)
            for place, (end, begin) in enumerate(zip(cpu_times(server.pid), before, strict=True)):
                cpu[name][place] += (end - begin) / PULLS * 1e3
    *_, baseline = cpu.values()
    print(f"a pull of {IMAGE}, {size / 1e6:.0f} MB: CPU of the server, ms and ratios")
    print(f"{'':24}{'program':>16}{'kernel':>16}{'both':>16}")
    for name, own in cpu.items():
        columns = zip((*own, sum(own)), (*baseline, sum(baseline)), strict=True)
        print(f"{name:24}" + "".join(f"{ms:10.1f}{ms / other:6.2f}" for ms, other in columns))


def pull_everything(port: int) -> int:
    """Return the number of bytes received."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def fetch(path: str) -> bytes:
        connection.request("GET", path, headers={"Accept": ACCEPT})
        return connection.getresponse().read()

    fetch("/v2/")
    body = fetch(f"/v2/{IMAGE}/manifests/latest")
    manifest = json.loads(body)
    size = len(body)
    for blob in (manifest["config"], *manifest["layers"]):
        size += len(fetch(f"/v2/{IMAGE}/blobs/{blob['digest']}"))
    connection.close()
    return size


def message(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: {ACCEPT}\r\n\r\n".encode()


def load(target: Target, seconds: float, connections: int) -> Sample:
    """Send requests, one at a time on each connection."""
    selector = selectors.DefaultSelector()
    length = len(response(target))
    sockets = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(connections)]
    begun, cpu = time.perf_counter(), target.cpu_seconds()
    state: dict[socket.socket, tuple[int, float]] = {}

    def ask(client: socket.socket) -> None:
        client.sendall(target.request)
        state[client] = (length, time.perf_counter())

    for client in sockets:
        selector.register(client, selectors.EVENT_READ, client)
        ask(client)
    times: list[float] = []
    while time.perf_counter() - begun < seconds or not times:
        for key, _ in selector.select(seconds):
            left, since = state[key.data]
            left -= len(key.data.recv(1 << 16))
            if left > 0:
                state[key.data] = (left, since)
            else:
                times.append(time.perf_counter() - since)
                ask(key.data)
    elapsed, cpu = time.perf_counter() - begun, target.cpu_seconds() - cpu
    for client in sockets:
        client.close()
    selector.close()
    return Sample(len(times) / elapsed, cpu / len(times), tuple(times))


def response(target: Target) -> bytes:
    """Return a whole response, which must be a success; all of a target have one length."""
    with socket.create_connection(("127.0.0.1", target.port)) as client:
        client.sendall(target.request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        got = b"".join(iter(lambda: client.recv(1 << 16), b""))
    if not got.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"{target.name}: {got[:300]!r}")
    return got.replace(b"connection: close\r\n", b"", 1)


def report(targets: Sequence[Target], samples: dict[str, list[Sample]]) -> None:
    print(f"{'':24}requests/s   ratio  CPU ms each  median ms  99 % ms")
    baseline = statistics.median(sample.rate for sample in samples[EMPTY])
    for target in targets:
        found = samples[target.name]
        rate = statistics.median(sample.rate for sample in found)
        times = sorted(moment for sample in found for moment in sample.times)
        print(
            f"{target.name:24}{rate:10.0f} {rate / baseline:7.2f}"
            f" {statistics.median(sample.cpu for sample in found) * 1e3:12.2f}"
            f" {times[len(times) // 2] * 1e3:10.2f} {times[len(times) * 99 // 100] * 1e3:8.2f}"
        )
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f}")


@contextmanager
def empty_application() -> Iterator[tuple[int, int]]:
    command = [sys.executable, __file__, "--empty"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rpartition(":")[2]), process.pid
        finally:
            process.terminate()


def serve_nothing() -> None:
    app = FastAPI()

    @app.get("/")
    async def nothing() -> dict[str, str]:
        return {}

    listener = listen("127.0.0.1", 0)
    print(url_of(listener), flush=True)
    uvloop.run(Server(app, listener, drain_seconds=0, sendfile=False).serve())


if __name__ == "__main__":
    if sys.argv[1:] == ["--empty"]:
        serve_nothing()
    else:
        main()
