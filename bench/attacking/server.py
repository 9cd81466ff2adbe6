"""A server that is attacked, in a process of its own, with a package set of many names."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.common import ROOT

OTHER = {"X-Forwarded-For": "192.0.2.7"}
SET = """
arguments: let set = import %s arguments; in set // builtins.listToAttrs (builtins.genList
  (n: { name = "${builtins.substring 0 (4 + n - n / 9 * 9) (builtins.hashString "md5" (toString n))}-${toString n}"; value = set.hello; }) %d) // {
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

    def read(self, path: str) -> bytes:
        with closing(self.connect()) as connection:
            connection.request("GET", path, headers=OTHER)
            return connection.getresponse().read()

    def memory_mib(self) -> float:
        """Return the peak of the server's memory so far."""
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
