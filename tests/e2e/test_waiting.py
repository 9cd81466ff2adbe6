"""Builds that take longer than clients wait for an answer."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.clients import Client, Containerd, Docker, Podman, Skopeo, pull
from tests.e2e.server import ServerFactory

pytestmark = pytest.mark.e2e


@pytest.fixture
def clients(
    skopeo: Skopeo, containerd: Containerd, docker: Docker, podman: Podman
) -> Sequence[Client]:
    return skopeo, containerd, docker, podman


def pull_at_once(clients: Sequence[Client], image: str, *, timeout: float) -> None:
    with ThreadPoolExecutor(len(clients)) as pool:
        for pulled in [pool.submit(pull, c, image, timeout=timeout) for c in clients]:
            pulled.result()


@pytest.mark.parametrize(
    ("seconds", "redirect_seconds", "redirects"),
    [
        # Nine redirects of 0.3 s, then held: the build outlasts both.
        ("5", "0.3", 9),
        pytest.param("180", "20", 8, marks=pytest.mark.full),
    ],
)
def test_a_long_build_ends_in_a_pull_by_every_client(
    new_server: ServerFactory,
    salted_packages: Path,
    clients: Sequence[Client],
    *,
    seconds: str,
    redirect_seconds: str,
    redirects: int,
) -> None:
    server = new_server(salted_packages, NIXERY_REDIRECT_SECONDS=redirect_seconds)
    image = f"{server.address}/coreutils/slow-{seconds}:latest"

    pull_at_once(clients, image, timeout=float(seconds) + 60)

    for client in clients:
        assert client.run(image, "cat", "/slow") == f"{seconds}\n"
    debug = server.get("/debug").json()
    assert debug["responses"]["307"] >= redirects * len(clients)
    # Of the jobs that were started, by a pull or by the step before, one had something to do.
    assert debug["counts"]["succeeded"] == 1
