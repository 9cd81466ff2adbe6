"""A server whose log is a pipe that is read late, or never: clients do not notice."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.ports import free_port
from tests.e2e.server import ACCEPT, Server
from tests.ownership import start_process
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

LONG = "x" * 4_000  # in the line of a request
LINES = 400  # more of these than the log keeps for its reader


class Logging:
    """A running server with a full pipe as its log."""

    def __init__(self, home: Path, packages: Path) -> None:
        port = free_port()
        server = Server(home, packages, NIXERY_PORT=f"{port}", NIXERY_LOG_FORMAT="json")
        url = f"http://127.0.0.1:{port}"
        self.reading, writing = os.pipe()
        os.write(writing, b"\n" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
        self.process = start_process(
            server.start_command, env=server.environment, stderr=writing, start_new_session=True
        )
        os.close(writing)
        self._client = httpx.Client(
            base_url=url, headers={"Accept": ACCEPT}, timeout=120, follow_redirects=True
        )

    def is_healthy(self) -> bool:
        assert self.process.poll() is None
        with suppress(httpx.TransportError):
            return self.get("/healthz").is_success
        return False

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def read_until(self, *ends: str) -> str:
        """Read the log until it has all the texts; "" is its end."""
        text = ""
        while not all(ends) or not all(end in text for end in ends):
            data = os.read(self.reading, 1 << 16)
            text += data.decode()
            if not data:
                break
        return text

    def close(self) -> None:
        self._client.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(300)
        os.close(self.reading)


@pytest.fixture
def logging(tmp_path: Path, packages: Path) -> Iterator[Logging]:
    server = Logging(tmp_path / "server", packages)
    try:
        wait_until(server.is_healthy)
        yield server
    finally:
        server.close()


def dropped(server: Logging) -> int:
    metrics = server.get("/metrics").text
    [line] = [one for one in metrics.splitlines() if one.startswith("nixery_log_dropped_lines_t")]
    return int(float(line.split()[1]))


def test_a_log_that_is_not_read_delays_no_client_and_is_whole_when_it_is_read(
    logging: Logging,
) -> None:
    manifest = logging.get("/v2/hello/manifests/latest")
    assert manifest.status_code == 200, manifest.text
    for layer in manifest.json()["layers"]:
        assert logging.get(f"/v2/hello/blobs/{layer['digest']}").status_code == 200
    assert dropped(logging) == 0

    logging.process.terminate()
    text = logging.read_until("").replace("%3A", ":")

    # As before: what came before the stop, in order, to the last line.
    steps = ("listening on", '"ready"', "hello:latest done", "Application shutdown complete")
    places = [text.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)
    assert all(f"blobs/{layer['digest']}" in text for layer in manifest.json()["layers"])
    assert logging.process.wait(300) == -signal.SIGTERM


def test_lines_beyond_a_limit_are_dropped_and_a_stop_does_not_wait_for_the_reader(
    logging: Logging,
) -> None:
    for number in range(LINES):
        assert logging.get(f"/healthz?{number}{LONG}").is_success
    lost = dropped(logging)
    assert 0 < lost < LINES

    text = logging.read_until("lines of the log were dropped")

    kept = [number for number in range(LINES) if f"/healthz?{number}{LONG}" in text]
    assert kept == list(range(LINES - lost))
    assert logging.get("/healthz?after").is_success
    assert "/healthz?after" in logging.read_until("/healthz?after")
    for number in range(LINES):
        logging.get(f"/healthz?{number}{LONG}")
    logging.process.terminate()
    assert logging.process.wait(300) == -signal.SIGTERM
