"""Both compressions, read by those who can."""

import io
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.oci import MediaType
from tests.e2e.clients import Client, Containerd, Docker, Skopeo, pull
from tests.e2e.newer_podman import NewerPodman
from tests.e2e.process import succeed
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

# So few that nearly all paths of an image share a layer.
PACKAGE_LAYERS = 3


@pytest.fixture(scope="module")
def zstd_server(packages: Path, module_server: ServerFactory) -> Server:
    return module_server(packages, NIXERY_CODEC="zstd", NIXERY_LAYER_BUDGET=str(PACKAGE_LAYERS))


@pytest.fixture(scope="module")
def gzip_server(packages: Path, module_server: ServerFactory) -> Server:
    return module_server(packages, NIXERY_LAYER_BUDGET=str(PACKAGE_LAYERS))


@pytest.mark.parametrize("name", ["skopeo", "containerd", "newer_docker", "podman"])
def test_zstd_layers_are_read_by_all_but_docker_before_23(
    name: str, zstd_server: Server, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(name)
    image = f"{zstd_server.address}/coreutils/jq:latest"

    pull(client, image)

    assert client.run(image, "jq", "-n", "40+2") == "42\n"
    manifest = zstd_server.get("/v2/coreutils/jq/manifests/latest").json()
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {"zstd"}
    assert len(manifest["layers"]) == PACKAGE_LAYERS + 1


def test_the_newer_docker_is_one_that_knows_zstd(newer_docker: Docker) -> None:
    assert newer_docker.release() >= (23, 0)


def test_the_newer_podman_prefers_zstd(newer_podman: NewerPodman) -> None:
    assert newer_podman.release() >= (5, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_of_schema_2_alone_gets_the_reason_why_it_cannot_have_zstd(
    method: str, zstd_server: Server
) -> None:
    path = f"{zstd_server.url}/v2/coreutils/jq/manifests/latest"
    zstd_server.digest("coreutils/jq")

    refused = httpx.request(
        method, path, headers={"Accept": MediaType.DOCKER_MANIFEST}, timeout=300
    )
    served = httpx.request(
        method, path, headers={"Accept": f"{MediaType.DOCKER_MANIFEST}, */*"}, timeout=300
    )

    assert (refused.status_code, served.status_code) == (406, 200)
    assert served.headers["Content-Type"] == MediaType.OCI_MANIFEST
    if method == "GET":
        error = refused.json()["errors"][0]
        assert error["code"] == "UNSUPPORTED"
        assert error["message"].endswith("or have its operator set NIXERY_CODEC=gzip")


def test_gzip_layers_of_several_paths_are_read_by_every_client(
    client: Client, gzip_server: Server
) -> None:
    image = "coreutils/jq/git/curl"
    pull(client, f"{gzip_server.address}/{image}:latest")

    assert client.run(f"{gzip_server.address}/{image}:latest", "jq", "-n", "40+2") == "42\n"
    manifest = gzip_server.get(f"/v2/{image}/manifests/latest").json()
    assert len(manifest["layers"]) == PACKAGE_LAYERS + 1
    blobs = [gzip_server.get(f"/v2/{image}/blobs/{d['digest']}") for d in manifest["layers"]]
    (shared,) = (blob.content for blob in blobs if len(store_paths(blob.content)) > 1)
    names = store_paths(shared)
    assert any("-jq-" in name for name in names)
    # podman decompresses ahead, but not beyond the end of a member.
    assert [is_one_member(blob.content) for blob in blobs] == [True] * len(blobs)


def test_zlib_makes_the_same_image_as_gzip_in_fewer_bytes(
    packages: Path, module_server: ServerFactory, gzip_server: Server, skopeo: Skopeo
) -> None:
    zlib_server = module_server(
        packages, NIXERY_CODEC="zlib", NIXERY_LAYER_BUDGET=str(PACKAGE_LAYERS)
    )
    image = "coreutils/jq"
    pull(skopeo, f"{zlib_server.address}/{image}:latest")

    assert skopeo.run(f"{zlib_server.address}/{image}:latest", "jq", "-n", "40+2") == "42\n"
    small, usual = [
        server.get(f"/v2/{image}/manifests/latest").json() for server in (zlib_server, gzip_server)
    ]
    assert small["config"]["digest"] == usual["config"]["digest"]
    sizes = [sum(layer["size"] for layer in one["layers"]) for one in (small, usual)]
    assert sizes[0] < 0.95 * sizes[1]
    assert {layer["mediaType"] for layer in small["layers"]} == {MediaType.OCI_LAYER_GZIP}


def test_of_both_codecs_each_client_takes_the_one_that_it_reads_best(
    packages: Path, module_server: ServerFactory, request: pytest.FixtureRequest
) -> None:
    both = module_server(packages, NIXERY_CODEC="both")
    index = both.get("/v2/jq/manifests/latest", Accept=MediaType.OCI_INDEX).json()
    gzip, zstd = [
        Manifest(one["digest"], both.get(f"/v2/jq/manifests/{one['digest']}").json())
        for one in index["manifests"]
    ]
    assert index["manifests"][1]["annotations"] == {"io.github.containers.compression.zstd": "true"}
    image = f"{both.address}/jq:latest"
    fetched: dict[str, set[str]] = {}
    containerd: Containerd = request.getfixturevalue("containerd")
    # Earlier tests pulled layers with the same digests.
    before_all = unpacked_by(containerd)

    names = ("skopeo", "docker", "newer_docker", "podman")
    for name in (*names, "newer_skopeo", "newer_podman", "containerd"):
        client: Client = request.getfixturevalue(name)
        before = len(both.complete_log())
        pull(client, image)
        assert client.run(image, "jq", "-n", "40+2") == "42\n"
        # The log has digests with an escaped colon.
        since = both.complete_log()[before:].replace("%3A", ":")
        fetched[name] = {one.digest for one in (gzip, zstd) if one.digest in since}

    # ctr fetches all manifests of its platform, and unpacks the first.
    del fetched["containerd"]
    assert (unpacked_by(containerd) - before_all).isdisjoint(zstd.layers)
    assert fetched.pop("newer_skopeo") == {zstd.digest}
    assert fetched.pop("newer_podman") == {zstd.digest}
    newer_skopeo: Skopeo = request.getfixturevalue("newer_skopeo")
    assert set(newer_skopeo.layers(image)) == {MediaType.OCI_LAYER_ZSTD}
    assert fetched == {
        name: {zstd.digest if prefers_zstd(request.getfixturevalue(name)) else gzip.digest}
        for name in fetched
    }
    verified = both.command("verify")
    assert (verified.returncode, " 0 damaged" in verified.stdout) == (0, True), verified.stdout


def prefers_zstd(client: Client) -> bool:
    """Return whether this machine's own client is as new as that of Debian 13."""
    first = {"skopeo": (1, 16), "podman": (5, 1)}
    if client.name not in first:
        return False
    version = succeed(client.name, "--version").split()[-1]
    return tuple(map(int, version.split(".")[:2])) >= first[client.name]


def unpacked_by(containerd: Containerd) -> set[str]:
    """Return the digests of the layers that it has unpacked."""
    listed = containerd.call("content", "list").splitlines()
    return {line.split()[0] for line in listed if "containerd.io/uncompressed" in line}


@dataclass(frozen=True)
class Manifest:
    digest: str
    document: dict[str, Any]

    @property
    def layers(self) -> set[str]:
        return {layer["digest"] for layer in self.document["layers"]}


def store_paths(layer: bytes) -> set[str]:
    """The base names of what a gzip layer has of the store."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        parts = [name.split("/") for name in archive.getnames()]
    return {name[2] for name in parts if name[:2] == ["nix", "store"] and len(name) > 2}


def is_one_member(content: bytes) -> bool:
    """Return whether a gzip file is not a sequence of such files (RFC 1952, 2.2)."""
    member = zlib.decompressobj(wbits=31)
    member.decompress(content)
    return member.eof and not member.unused_data
