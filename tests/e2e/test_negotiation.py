"""One image with two manifests; the real server stores both."""

from typing import Any

import pytest

from app.oci import Digest, MediaType
from tests.e2e.clients import Client, pull
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

PATH = "/v2/coreutils/manifests/"


def test_both_renderings_are_stored_and_share_config_and_layers(server: Server) -> None:
    oci = server.get(PATH + "latest", Accept="*/*")
    docker = server.get(PATH + "latest", Accept=MediaType.DOCKER_MANIFEST)

    assert oci.headers["Content-Type"] == MediaType.OCI_MANIFEST
    assert docker.headers["Content-Type"] == MediaType.DOCKER_MANIFEST
    for answer in (oci, docker):
        digest = answer.headers["Docker-Content-Digest"]
        assert str(Digest.of(answer.content)) == digest
        # By digest what is stored is served, whatever is accepted.
        stored = server.get(PATH + digest, Accept=MediaType.OCI_INDEX)
        assert (stored.content, stored.headers["Content-Type"]) == (
            answer.content,
            answer.headers["Content-Type"],
        )
    assert named(oci.json()) == named(docker.json())


def named(manifest: dict[str, Any]) -> list[str]:
    return [part["digest"] for part in (manifest["config"], *manifest["layers"])]


def test_dockers_rendering_outlives_a_restart_and_is_pulled_by_every_client(
    client: Client, new_server: ServerFactory
) -> None:
    server = new_server()
    docker = server.get(PATH + "latest", Accept=MediaType.DOCKER_MANIFEST)
    server.stop()
    server.start()
    image = f"{server.address}/coreutils@{docker.headers['Docker-Content-Digest']}"

    pull(client, image)

    assert client.run(image, "echo", "ran") == "ran\n"
