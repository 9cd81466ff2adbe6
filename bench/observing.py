"""How late a server's event loop is, and how much memory it takes, while it works."""

import threading
import time
from pathlib import Path

import pycurl

from tests.e2e.server import Server

# Between two requests for liveness, which should not take a part of the processor.
_PROBE_SECONDS = 0.05


class Lateness:
    """The longest that a liveness request took while the image was made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, f"{self._server.url}/healthz")
        curl.setopt(pycurl.WRITEFUNCTION, len)
        while not self._stop.wait(_PROBE_SECONDS):
            begun = time.perf_counter()
            curl.perform()
            self._longest = max(self._longest, time.perf_counter() - begun)

    def stop(self) -> float:
        self._stop.set()
        self._thread.join()
        return self._longest


def peak(server: Server) -> int:
    """The largest resident set of the server's process."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            environment = (status.parent / "environ").read_bytes()
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        state = server.environment["NIXERY_STATE_PATH"].encode()
        if state in environment and b"NIXERY_PKGS_PATH" in environment and "VmHWM" in fields:
            found = max(found, int(fields["VmHWM"].split()[0]) * 1024)
    return found
