"""A server killed while it packs leaves nothing half-made, and its successor serves."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import Skopeo, pull
from tests.e2e.server import Server, ServerFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

NAME = "shell/git/python3"


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_a_killed_server_leaves_no_partial_blob_and_its_successor_serves(
    delay: float, new_server: ServerFactory, skopeo: Skopeo
) -> None:
    server = new_server()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server)
        wait_for_packing(server)
        time.sleep(delay)

        server.kill()
        asked.result()

    assert not list(server.storage.glob("builds/*")), "it was too late to interrupt the packing"
    assert_whole(server.storage)
    server.start()
    pull(skopeo, f"{server.address}/{NAME}:latest")
    assert skopeo.run(f"{server.address}/{NAME}:latest", "git", "--version").startswith("git")
    assert_whole(server.storage)


def ask(server: Server) -> None:
    with pytest.raises(httpx.TransportError):
        server.get(f"/v2/{NAME}/manifests/latest")


def wait_for_packing(server: Server) -> None:
    def is_packing() -> bool:
        running = server.get("/debug").json()["builds"]["running"]
        return any("pack" in build["stage"] for build in running)

    wait_until(is_packing, explain=lambda: server.log)


def assert_whole(storage: Path) -> None:
    """Every visible blob and manifest has the digest that its name holds."""
    for kind in ("blobs", "manifests"):
        for file in storage.glob(f"{kind}/sha256/*"):
            with file.open("rb") as content:
                assert hashlib.file_digest(content, "sha256").hexdigest() == file.name
