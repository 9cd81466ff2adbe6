"""Blobs over the loopback: our server with sendfile, without it, and Starlette's FileResponse.

    python bench/serving.py

Prints throughput and the server's own CPU time, for one client and for many; medians of
interleaved rounds.  Ratios mean more than figures: the clients use the same processors.
"""

import hashlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import uvloop
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

from app.oci import Digest
from app.routers.blob_response import blob_response
from app.server.listening import listen, url_of
from app.server.server import Server
from app.storage.base import LocalFile

VARIANTS = ("sendfile", "threads", "FileResponse")
SIZE = 64 << 20
CLIENTS = (1, 16)
SECONDS = 1.5
ROUNDS = 3
GIB = 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A running server of one variant."""

    variant: str
    pid: int
    host: str
    port: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mib(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class Sample:
    gib: float
    seconds: float
    cpu_seconds: float


def serve(variant: str, path: Path) -> None:
    """Run the measured server process."""
    app = FastAPI()
    location = LocalFile(path, path.stat().st_size)
    digest = Digest("sha256", "0" * 64)

    @app.get("/blob")
    async def blob(request: Request) -> Response:
        if variant == "FileResponse":
            return FileResponse(path)
        return blob_response(request, digest, location)

    listener = listen("127.0.0.1", 0)
    print(url_of(listener), flush=True)
    uvloop.run(Server(app, listener, drain_seconds=0, sendfile=variant == "sendfile").serve())


@contextmanager
def served(variant: str, path: Path) -> Iterator[Served]:
    command = [sys.executable, __file__, variant, str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        host, _, port = address.removeprefix("http://").partition(":")
        try:
            with closing(HTTPConnection(host, int(port))) as connection:
                connection.request("GET", "/blob")
                body = connection.getresponse().read()
                same = hashlib.sha256(body).digest() == sha256(path)
            if not same:
                raise SystemExit(f"{variant} serves other bytes")
            yield Served(variant, process.pid, host, int(port))
        finally:
            process.terminate()


def sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def measure(server: Served, clients: int) -> Sample:
    begun, cpu = time.monotonic(), server.cpu_seconds()
    taken = [0] * clients

    def download(number: int) -> None:
        buffer = bytearray(1 << 20)
        while time.monotonic() - begun < SECONDS:
            with socket.create_connection((server.host, server.port)) as client:
                client.sendall(b"GET /blob HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                # The kernel drops the bytes in place of copying them, so the client uses little CPU.
                while got := client.recv_into(buffer, 0, socket.MSG_TRUNC):
                    taken[number] += got

    threads = [threading.Thread(target=download, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begun
    return Sample(sum(taken) / GIB, seconds, server.cpu_seconds() - cpu)


def main() -> None:
    samples: dict[tuple[str, int], list[Sample]] = {}
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        path = Path(directory) / "blob"
        path.write_bytes(random.Random(1).randbytes(1 << 20) * (SIZE >> 20))
        servers = [stack.enter_context(served(variant, path)) for variant in VARIANTS]
        for _ in range(ROUNDS):
            for clients in CLIENTS:
                for server in servers:
                    samples.setdefault((server.variant, clients), []).append(
                        measure(server, clients)
                    )
        print(f"{'server':14}{'clients':>8}{'GiB/s':>8}{'CPU s/GiB':>11}{'peak MiB':>10}")
        for clients in CLIENTS:
            for server in servers:
                found = samples[server.variant, clients]
                speed = statistics.median(s.gib / s.seconds for s in found)
                cost = statistics.median(s.cpu_seconds / s.gib for s in found)
                print(
                    f"{server.variant:14}{clients:8}{speed:8.2f}{cost:11.2f}"
                    f"{server.peak_mib():10.0f}"
                )
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
