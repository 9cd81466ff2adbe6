"""Builds that take longer than clients wait for an answer."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.clients import Client, Containerd, Docker, Podman, Skopeo, pull
from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.server import ServerFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def clients(
    skopeo: Skopeo, containerd: Containerd, docker: Docker, podman: Podman
) -> Sequence[Client]:
    return skopeo, containerd, docker, podman


@pytest.mark.parametrize(
    ("redirect_seconds", "redirects"),
    [
        # Nine redirects of 0.3 s, then held: the build outlasts both.
        ("0.3", 9),
        pytest.param("20", 8, marks=pytest.mark.full),
    ],
)
def test_a_long_build_ends_in_a_pull_by_every_client(
    new_server: ServerFactory,
    salted_packages: Path,
    held_build: HeldBuild,
    clients: Sequence[Client],
    *,
    redirect_seconds: str,
    redirects: int,
) -> None:
    server = new_server(salted_packages, NIXERY_REDIRECT_SECONDS=redirect_seconds)
    image = f"{server.address}/coreutils/{held_build.package}:latest"

    with ThreadPoolExecutor(len(clients)) as pool:
        with held_build:
            pulls = [pool.submit(pull, client, image, timeout=900) for client in clients]
            wait_until(
                lambda: (
                    server.redirects() >= redirects * len(clients)
                    or any(pulled.done() for pulled in pulls)
                ),
                seconds=600,
            )
        for pulled in pulls:
            pulled.result()

    for client in clients:
        assert client.run(image, "cat", "/held") == held_build.contents
    assert server.redirects() >= redirects * len(clients)
    debug = server.get("/debug").json()
    # Of the jobs that were started, by a pull or by the step before, one had something to do.
    assert debug["counts"]["succeeded"] == 1
