"""A server killed while it packs leaves nothing half-made, and its successor serves."""

import hashlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import Skopeo, pull
from tests.e2e.server import Server, ServerFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

NAME = "shell/git/python3"
ATTEMPTS = 5


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_a_killed_server_leaves_no_partial_blob_and_its_successor_serves(
    delay: float, new_server: ServerFactory, skopeo: Skopeo
) -> None:
    server = killed_while_it_packs(new_server, delay)

    assert_whole(server.storage)
    server.start()
    pull(skopeo, f"{server.address}/{NAME}:latest")
    assert skopeo.run(f"{server.address}/{NAME}:latest", "git", "--version").startswith("git")
    assert_whole(server.storage)


def killed_while_it_packs(new_server: ServerFactory, delay: float = 0) -> Server:
    """Return the first that was killed before its image was stored: a busy machine may be late."""
    for _ in range(ATTEMPTS):
        server = new_server()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask, server)
            wait_until(partial(is_packing_or_done, server, asked))
            time.sleep(delay)
            server.kill()
            asked.result()
        if not list(server.storage.glob("builds/*")):
            return server
    raise AssertionError(f"{ATTEMPTS} servers were killed too late to interrupt the packing")


def ask(server: Server) -> None:
    with suppress(httpx.TransportError):
        server.get(f"/v2/{NAME}/manifests/latest")


def is_packing_or_done(server: Server, asked: "Future[None]") -> bool:
    return asked.done() or any("pack" in stage for stage in server.stages())


def assert_whole(storage: Path) -> None:
    """Every visible blob and manifest has the digest that its name holds."""
    for kind in ("blobs", "manifests"):
        for file in storage.glob(f"{kind}/sha256/*"):
            with file.open("rb") as content:
                assert hashlib.file_digest(content, "sha256").hexdigest() == file.name
