"""Ctrl-C at the server's terminal."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.server import ServerFactory

pytestmark = pytest.mark.e2e


def test_one_stops_it_in_order_and_leaves_no_traceback(new_server: ServerFactory) -> None:
    server = new_server()
    server.digest("hello")

    assert server.interrupt(1) == 130

    assert "Application shutdown complete" in server.log
    assert "Traceback" not in server.log


def test_two_end_its_builds_and_tell_whoever_waits(
    salted_packages: Path, new_server: ServerFactory
) -> None:
    server = new_server(salted_packages)
    home = str(server.storage.parent)
    with ThreadPoolExecutor(1) as pool:
        pulled = pool.submit(server.get, "/v2/slow-60/manifests/latest")
        deadline = time.monotonic() + 30
        while not server.get("/builds").json()["running"]:
            assert time.monotonic() < deadline
        time.sleep(0.5)
        begun = time.monotonic()

        status = server.interrupt(2)

        answer = pulled.result()
    assert status == 130
    assert time.monotonic() - begun < 20
    assert answer.status_code == 503
    assert "the server stopped while it built this; ask again" in answer.text
    assert "Application shutdown complete" in server.log
    assert "Traceback" not in server.log
    assert programs_of(home) == []


def programs_of(home: str) -> list[str]:
    """Command lines of what lives with a home directory of this server's."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if home in environment.read_text(errors="replace"):
                found.append(environment.with_name("cmdline").read_text(errors="replace"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
