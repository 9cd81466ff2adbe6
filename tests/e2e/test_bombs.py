"""Images that would take without end: each is refused, and takes nothing from the others."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.clients import Podman, Skopeo
from tests.e2e.server import ServerFactory

pytestmark = pytest.mark.e2e

# More than may be packed at one time.
PULLS = 6


def test_links_that_would_be_millions_are_refused_by_name(
    salted_packages: str, new_server: ServerFactory, skopeo: Skopeo, podman: Podman
) -> None:
    server = new_server(salted_packages, NIXERY_FAILURE_SECONDS="0")
    images = [f"link-bomb-one/link-bomb-two{'/hello' * number}" for number in range(PULLS)]
    with ThreadPoolExecutor(PULLS) as pool:
        answers = list(pool.map(lambda name: server.get(f"/v2/{name}/manifests/latest"), images))

    for answer in answers:
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["code"]) == (403, "UNKNOWN")
        assert "link-bomb-two fit in no image: they are more than 250,000" in error["message"]
    for client in (skopeo, podman):
        done = client.try_pull(f"{server.address}/{images[0]}:latest")
        assert "fit in no image: they are more than 250,000 files" in done.stderr
    assert server.digest("hello")
    assert server.digest("link-bomb-one")


def test_packing_that_takes_too_long_is_ended_and_gives_up_its_place(
    salted_packages: str, new_server: ServerFactory
) -> None:
    # 64 MiB that do not compress.
    server = new_server(salted_packages, NIXERY_FAILURE_SECONDS="0", NIXERY_PACKING_SECONDS="0.01")
    images = [f"large{'/shell' * number}" for number in range(PULLS)]
    for name in images:
        answer = server.get(f"/v2/{name}/manifests/latest")

        [error] = answer.json()["errors"]
        assert (answer.status_code, error["code"]) == (403, "UNKNOWN")
        assert "packing was stopped after the 0.01 s that one image may take" in error["message"]
        assert "NIXERY_PACKING_SECONDS" in error["message"]
    stages = {stage["name"]: stage for stage in server.get("/debug").json()["queues"]}
    assert (stages["packing"]["active"], stages["packing"]["waiting"]) == (0, 0)
