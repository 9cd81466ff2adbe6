"""Clients run the commands of an image's page as they are printed there."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.e2e.builders import Buildah
from tests.e2e.clients import Containerd, Docker, Podman
from tests.e2e.process import succeed
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

COMMAND = re.compile(r'<pre class="command">(.*?)</pre>')
# Debian has no nerdctl, and only its newest release has crane: test_newer_tools.py.
MISSING = {"nerdctl", "crane"}


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    buildah = Buildah(tmp_path / "buildah")
    yield buildah
    buildah.close()


@pytest.fixture
def clients(
    docker: Docker, podman: Podman, containerd: Containerd, buildah: Buildah
) -> dict[str, tuple[str, ...]]:
    """Each client by its program, with storage of its own by options before the verb."""
    return {
        "docker": docker.command,
        "podman": podman.command,
        "ctr": containerd.command,
        "buildah": buildah.command,
        "skopeo": ("skopeo",),
    }


def test_every_command_of_the_page_pulls(
    server: Server,
    docker: Docker,
    podman: Podman,
    clients: dict[str, tuple[str, ...]],
    tmp_path: Path,
) -> None:
    digest = server.digest("jq")
    page = httpx.get(
        f"{server.url}/images/jq:latest", headers={"accept": "text/html"}, timeout=300
    ).text
    commands = [unescape(one).split() for one in COMMAND.findall(page)]

    assert {program for program, *_ in commands} == set(clients) | MISSING
    for program, *arguments in commands:
        if program not in MISSING:
            succeed("env", f"--chdir={tmp_path}", *clients[program], *arguments)

    image = f"{server.address}/jq:latest"
    assert docker.run(image, "jq", "-n", "40 + 2") == "42\n"
    assert podman.run(image, "jq", "-n", "40 + 2") == "42\n"
    assert digest in succeed(*clients["ctr"], "images", "list", f"name=={image}")
    assert server.address in succeed(*clients["buildah"], "images")
    (archive,) = tmp_path.glob("*.tar")
    assert digest in succeed("skopeo", "inspect", f"oci-archive:{archive}")
