"""Measure a busy server: its event loop's delay, its CPU time and its memory."""

import os
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pycurl

from tests.e2e.server import Server

# Between two requests for liveness, which should not take a part of the processor.
_PROBE_SECONDS = 0.05


class Liveness:
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


def latest_beat(beats: Path, begun: float, ended: float) -> float:
    """Return how many seconds late a timer of the event loop was at most between two times.

    ``beats`` is the file that ``bench.pulling.inside`` writes.
    """
    values = array("d", beats.read_bytes())
    pairs = zip(values[::2], values[1::2], strict=True)
    return max(late for moment, late in pairs if begun <= moment <= ended)


def peak(server: Server) -> int:
    """The largest resident set of the server's process."""
    return max(int(_status(process)["VmHWM"].split()[0]) * 1024 for process in _processes(server))


def cpu(server: Server) -> float:
    """The CPU time of the server's process so far."""
    ticks = 0
    for process in _processes(server):
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticks = max(ticks, int(fields[11]) + int(fields[12]))
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_by_thread(server: Server) -> dict[str, float]:
    """The CPU time of the server's threads by their names, as the kernel has them."""
    found: dict[str, float] = {}
    for process in _processes(server):
        for stat in process.glob("task/*/stat"):
            with suppress(OSError):  # the thread has ended
                head, _, rest = stat.read_text().rpartition(")")
                name, fields = head.partition("(")[2], rest.split()
                ticks = int(fields[11]) + int(fields[12])
                found[name] = found.get(name, 0) + ticks / os.sysconf("SC_CLK_TCK")
    return found


def _processes(server: Server) -> Iterator[Path]:
    """Yield the directories in ``/proc`` of the server, and of processes that it was started by."""
    state = server.environment["NIXERY_STATE_PATH"].encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            is_running = "VmHWM" in _status(process)
        except OSError:
            continue
        if state in environment and b"NIXERY_PKGS_PATH" in environment and is_running:
            yield process


def _status(process: Path) -> dict[str, str]:
    lines = (process / "status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)
