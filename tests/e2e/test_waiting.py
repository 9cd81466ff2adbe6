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


def test_a_build_longer_than_all_hops_ends_in_a_pull_by_every_client(
    new_server: ServerFactory, salted_packages: Path, clients: Sequence[Client]
) -> None:
    # Nine hops of 0.3 s, then held: the build outlasts both.
    server = new_server(salted_packages, NIXERY_HOP_SECONDS="0.3")
    image = f"{server.address}/coreutils/slow-5:latest"

    pull_at_once(clients, image, timeout=60)

    for client in clients:
        assert client.run(image, "cat", "/slow") == "5\n"
    debug = server.get("/debug").json()
    assert debug["responses"]["307"] >= 9 * len(clients)
    assert debug["counts"]["started"] == 1


@pytest.mark.full
def test_a_build_of_three_minutes_ends_in_a_pull_by_every_client(
    new_server: ServerFactory, salted_packages: Path, clients: Sequence[Client]
) -> None:
    server = new_server(salted_packages, NIXERY_HOP_SECONDS="20")
    image = f"{server.address}/coreutils/slow-180:latest"

    pull_at_once(clients, image, timeout=400)

    for client in clients:
        assert client.run(image, "cat", "/slow") == "180\n"
    assert server.get("/debug").json()["counts"]["started"] == 1
