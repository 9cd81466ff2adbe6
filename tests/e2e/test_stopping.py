"""A server that is stopped by Ctrl-C or by SIGTERM."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.server import ServerFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


def test_one_ctrl_c_stops_the_server_in_order_without_a_traceback(
    new_server: ServerFactory,
) -> None:
    server = new_server()
    server.digest("hello")

    assert server.interrupt(1) == 130

    assert "Application shutdown complete" in server.log
    assert "Traceback" not in server.log


def test_a_second_ctrl_c_ends_builds_and_their_requests(
    salted_packages: Path, new_server: ServerFactory, held_build: HeldBuild
) -> None:
    server = new_server(salted_packages)
    home = str(server.storage.parent)
    with ThreadPoolExecutor(1) as pool, held_build:
        pulled = pool.submit(server.get, f"/v2/{held_build.package}/manifests/latest")
        wait_until(lambda: server.stages() == ["building"])

        status = server.interrupt(2)

        answer = pulled.result()
    assert status == 130
    assert answer.status_code == 503
    assert "the server stopped while it built this; try again" in answer.text
    assert "Application shutdown complete" in server.log
    assert "Traceback" not in server.log
    assert programs_of(home) == []


def test_a_stop_ends_the_packing_of_a_hostile_package(
    salted_packages: Path, new_server: ServerFactory
) -> None:
    server = new_server(salted_packages, NIXERY_DRAIN_SECONDS="1")
    with ThreadPoolExecutor(1) as pool:
        pulled = pool.submit(server.get, "/v2/file-bomb/manifests/latest", timeout=600)
        wait_until(
            lambda: server.stages() == ["packing"] or pulled.done(),
            seconds=600,
            explain=lambda: server.log,
        )

        server.stop()

        answer = pulled.result()
    assert answer.status_code == 503
    assert "the server stopped while it built this; try again" in answer.text
    assert "Application shutdown complete" in server.log


def programs_of(home: str) -> list[str]:
    """Return the command lines of processes with this home directory in their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if home in environment.read_text(errors="replace"):
                found.append(environment.with_name("cmdline").read_text(errors="replace"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
