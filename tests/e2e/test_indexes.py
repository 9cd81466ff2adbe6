"""One name for two architectures: what real clients choose, and what two servers make of it."""

import platform
import shutil
from pathlib import Path

import pytest

from app.oci import MediaType
from scripts import rootfs
from tests.e2e.clients import Client, Docker, Skopeo, pull
from tests.e2e.process import program
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
OWN = ARCHITECTURES[platform.machine()]
OTHER = next(name for name in ARCHITECTURES.values() if name != OWN)
OTHER_SYSTEM = "aarch64-linux" if OTHER == "arm64" else "x86_64-linux"
CRANE = (
    "application/vnd.docker.distribution.manifest.v1+json,"
    "application/vnd.docker.distribution.manifest.v1+prettyjws,"
    f"{MediaType.DOCKER_MANIFEST},{MediaType.OCI_MANIFEST},"
    f"{MediaType.DOCKER_LIST},{MediaType.OCI_INDEX}"
)
DOCKER_LIST = f"{MediaType.DOCKER_MANIFEST}, {MediaType.DOCKER_LIST}"
# Each client's options for the other architecture, over plain HTTP.
OPTIONS = {
    "docker": (f"--platform=linux/{OTHER}",),
    "newer-docker": (f"--platform=linux/{OTHER}",),
    "containerd": ("--plain-http", f"--platform=linux/{OTHER}"),
    "podman": ("--tls-verify=false", f"--arch={OTHER}"),
    "skopeo": ("--src-tls-verify=false", f"--override-arch={OTHER}"),
}


@pytest.fixture(scope="module")
def split_packages(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small set, and a package that exists for one architecture only."""
    directory = tmp_path_factory.mktemp("split")
    (directory / "default.nix").write_text(
        f"arguments: let set = import {packages} arguments; in set // (\n"
        f'  if arguments.system == "{OTHER_SYSTEM}" then {{ elsewhere = set.jq; }}\n'
        "  else { here = set.jq; })\n"
    )
    return directory


@pytest.fixture(scope="module")
def both(split_packages: Path, module_server: ServerFactory) -> Server:
    return module_server(split_packages, NIXERY_ARCHITECTURES="amd64,arm64")


def test_one_name_is_the_image_of_each_machine(client: Client, both: Server) -> None:
    image = f"{both.address}/jq:latest"

    pull(client, image, *OPTIONS[client.name])
    assert client.architecture(image) == OTHER
    pull(client, image)

    assert client.run(image, "jq", "--version").startswith("jq-")


def test_a_name_of_one_architecture_is_pulled_there_and_refused_elsewhere(
    client: Client, both: Server
) -> None:
    here, elsewhere = f"{both.address}/here:latest", f"{both.address}/elsewhere:latest"

    pull(client, here)
    refused = client.try_pull(elsewhere)
    other = client.try_pull(here, *OPTIONS[client.name])

    assert client.architecture(here) == OWN
    for done in (refused, other):
        assert done.returncode != 0
        printed = done.stdout + done.stderr
        assert "manifest" in printed or "no image found" in printed, printed
    pull(client, elsewhere, *OPTIONS[client.name])
    assert client.architecture(elsewhere) == OTHER


def test_programs_of_arm64_run(skopeo: Skopeo, both: Server) -> None:
    image = f"{both.address}/shell/jq:latest"
    pull(skopeo, image, "--src-tls-verify=false", "--override-arch=arm64")
    root = skopeo.unpacked(image)
    shutil.copy(program("qemu-aarch64-static"), root / "qemu")

    done = rootfs.run_in(
        root, {"PATH": "/bin"}, "/qemu", "/bin/bash", "-c", "echo $HOSTTYPE", timeout=120
    )

    assert (done.stdout, done.returncode) == ("aarch64\n", 0), done.stderr


def test_a_docker_with_lists_only_gets_the_image_of_its_machine(
    docker: Docker, both: Server
) -> None:
    """The list by digest, as a client from before OCI indexes has it by tag."""
    found = both.get("/v2/jq/manifests/latest", Accept=DOCKER_LIST)
    assert found.headers["Content-Type"] == MediaType.DOCKER_LIST
    image = f"{both.address}/jq@{found.headers['Docker-Content-Digest']}"

    pull(docker, image)

    assert docker.architecture(image) == OWN


def test_a_client_without_indexes_gets_the_servers_own_architecture(both: Server) -> None:
    for name, accept in (("jq", MediaType.OCI_MANIFEST), ("here", MediaType.DOCKER_MANIFEST)):
        single = both.get(f"/v2/{name}/manifests/latest", Accept=accept)
        alone = both.get(f"/v2/{OWN}/{name}/manifests/latest", Accept=accept)

        assert single.content == alone.content
        assert single.headers["Content-Type"] == accept
        assert f"this is the image for {OWN} only" in single.headers["Warning"]
        assert "Warning" not in alone.headers
    lacking = both.get("/v2/elsewhere/manifests/latest", Accept=MediaType.OCI_MANIFEST)
    assert lacking.status_code == 404
    assert f"no image for {OWN}, this server's own architecture" in lacking.text
    index = both.get("/v2/elsewhere/manifests/latest", Accept=CRANE)
    assert index.headers["Warning"] == f'299 - "no image for {OWN}: no such package: elsewhere"'
    assert [one["platform"]["architecture"] for one in index.json()["manifests"]] == [OTHER]


def test_two_servers_make_the_same_indexes_also_after_a_restart(
    split_packages: Path, both: Server, new_server: ServerFactory
) -> None:
    server = new_server(
        split_packages,
        NIXERY_ARCHITECTURES="arm64,amd64",
        NIXERY_SYSTEM=OTHER_SYSTEM,
        NIXERY_WORKERS="1",
    )
    names = ("jq", "nonroot/elsewhere/jq")

    expected = {name: documents(both, name) for name in names}
    assert {name: documents(server, name) for name in names} == expected
    server.stop()
    starts = len(server.nix_starts)
    server.start()
    assert {name: documents(server, name) for name in names} == expected
    again = server.nix_starts[starts:]
    assert {started.split()[1] for started in again} <= {"--version", "config", "show-config"}, (
        again
    )
    verified = server.command("verify")
    assert verified.returncode == 0, verified.stdout
    assert " 0 damaged" in verified.stdout


def documents(server: Server, name: str) -> list[tuple[str, bytes]]:
    """Return the index and the list with all manifests."""
    found = [
        server.get(f"/v2/{name}/manifests/latest", Accept=accept) for accept in (CRANE, DOCKER_LIST)
    ]
    found += [
        server.get(f"/v2/{name}/manifests/{child['digest']}")
        for document in tuple(found)
        for child in document.json()["manifests"]
    ]
    assert {answer.status_code for answer in found} == {200}
    return [(answer.headers["Docker-Content-Digest"], answer.content) for answer in found]
