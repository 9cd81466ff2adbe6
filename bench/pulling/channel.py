"""A simulated binary cache in a process of its own, and an ideal client of it."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pycurl

from app.builder.nix.closure import StorePath

_CONNECTIONS = 48


class Cache:
    """The channel in a process of its own.

    ``narinfos`` and ``archives`` are the times of requests, by the wall clock, and ``sent`` those
    when archives had been sent.
    """

    def __init__(self, directory: Path, latency: float, bandwidth: float) -> None:
        command = [sys.executable, "-m", "scripts.channel", "serve", str(directory)]
        command += ["--latency", str(latency), "--bandwidth", str(bandwidth)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self._line()
        self.narinfos: list[float] = []
        self.archives: list[float] = []
        self.sent: list[float] = []
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def cpu(self) -> float:
        """Its CPU time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _listen(self) -> None:
        times = {"narinfo": self.narinfos, "archive": self.archives, "sent": self.sent}
        while line := self._line():
            kind, moment = line.split()
            times[kind].append(float(moment))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def served(channel: Path, latency: float, bandwidth: float) -> Iterator[Cache]:
    cache = Cache(channel, latency, bandwidth)
    try:
        yield cache
    finally:
        cache.stop()


def ideal(cache: Cache, root: StorePath) -> float:
    """Return how long a client takes that requests everything as soon as it is known."""
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    seen, left, lock = {root}, [1], threading.Lock()
    waiting.put(f"{root.hash_part}.narinfo")

    def found(document: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in document.decode().splitlines())
        wanted = {StorePath.parse(base) for base in fields["References"].split()}
        with lock:
            new = wanted - seen
            seen.update(new)
            left[0] += len(new) + 1
        for path in new:
            waiting.put(f"{path.hash_part}.narinfo")
        waiting.put(fields["URL"])

    def work() -> None:
        curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.BUFFERSIZE, 256 * 1024)
        while (name := waiting.get()) is not None:
            body: list[bytes] = []
            is_narinfo = name.endswith(".narinfo")
            curl.setopt(pycurl.URL, f"{cache.url}/{name}")
            curl.setopt(pycurl.WRITEFUNCTION, body.append if is_narinfo else len)
            curl.perform()
            if is_narinfo:
                found(b"".join(body))
            with lock:
                left[0] -= 1
                if not left[0]:
                    for _ in range(_CONNECTIONS):
                        waiting.put(None)

    begun = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def root_of(channel: Path) -> StorePath:
    texts = [file.read_text() for file in channel.glob("*.narinfo")]
    [found] = [text for text in texts if "-everything\n" in text.split("URL", 1)[0]]
    return StorePath.parse(found.split("\n", 1)[0].removeprefix("StorePath: "))
