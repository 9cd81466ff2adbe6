"""Indexes of several architectures, as clients request them."""

import re

import httpx
import pytest

from app.errors import PackagesUnknown
from app.oci import Digest, MediaType
from tests.api.registry import Registry
from tests.api.shape import assert_error, assert_of_a_registry, headers_of

LATEST = "/v2/hello/manifests/latest"
CRANE = {
    "accept": f"application/vnd.docker.distribution.manifest.v1+json, {MediaType.DOCKER_MANIFEST},"
    f" {MediaType.OCI_MANIFEST}, {MediaType.DOCKER_LIST}, {MediaType.OCI_INDEX}"
}
ONLY_DOCKER = {"accept": f"{MediaType.DOCKER_MANIFEST}, {MediaType.DOCKER_LIST}"}
NO_INDEX = {"accept": f"{MediaType.OCI_MANIFEST}, {MediaType.DOCKER_MANIFEST}"}
DOCKER_AGENT = "docker/20.10.24 go/go1.19 git-commit/5d6db84 kernel/6.1 os/linux arch/arm64"


@pytest.fixture
def registry(registry: Registry) -> Registry:
    registry.images.architectures = ("amd64", "arm64")
    return registry


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (CRANE, MediaType.OCI_INDEX),
        (ONLY_DOCKER, MediaType.DOCKER_LIST),
        (NO_INDEX, MediaType.OCI_MANIFEST),
        ({"accept": MediaType.DOCKER_MANIFEST}, MediaType.DOCKER_MANIFEST),
    ],
)
async def test_head_get_and_the_digest_agree_on_the_document(
    client: httpx.AsyncClient, accept: dict[str, str], media_type: MediaType
) -> None:
    head = await client.head(LATEST, headers=accept)
    get = await client.get(LATEST, headers=accept)

    assert_of_a_registry(get)
    assert headers_of(head) == headers_of(get)
    assert get.headers["content-type"] == get.json()["mediaType"] == media_type
    digest = str(Digest.of(get.content))
    assert get.headers["docker-content-digest"] == digest
    assert get.headers["vary"] == "Accept"
    by_digest = await client.get(f"/v2/hello/manifests/{digest}")
    assert by_digest.content == get.content
    assert by_digest.headers["content-type"] == media_type
    assert "immutable" in by_digest.headers["cache-control"]
    current = await client.get(LATEST, headers={**accept, "if-none-match": f'"{digest}"'})
    assert current.status_code == 304


async def test_each_child_is_pulled_by_its_digest_and_has_its_platform(
    client: httpx.AsyncClient,
) -> None:
    index = (await client.get(LATEST, headers=CRANE)).json()

    found = {}
    for child in index["manifests"]:
        manifest = await client.get(f"/v2/hello/manifests/{child['digest']}", headers=CRANE)
        assert len(manifest.content) == child["size"]
        assert manifest.headers["content-type"] == child["mediaType"]
        config = await client.get(f"/v2/hello/blobs/{manifest.json()['config']['digest']}")
        found[child["platform"]["architecture"]] = config.json()["architecture"]
    assert found == {"amd64": "amd64", "arm64": "arm64"}


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
async def test_a_name_with_an_architecture_is_one_image(
    client: httpx.AsyncClient, architecture: str
) -> None:
    response = await client.get(f"/v2/{architecture}/hello/manifests/latest", headers=CRANE)

    assert response.headers["content-type"] == MediaType.OCI_MANIFEST
    assert "warning" not in response.headers


async def test_a_client_without_indexes_is_warned_and_others_are_not(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.warnings = ("watch out",)

    single = await client.get(LATEST, headers=NO_INDEX)
    index = await client.get(LATEST, headers=CRANE)

    only_amd64, watch_out = single.headers.get_list("warning")
    assert only_amd64.startswith('299 - "this is the image for amd64 only, because')
    assert watch_out == '299 - "watch out"'
    assert index.headers.get_list("warning") == ['299 - "watch out"']


async def test_the_error_of_a_client_without_indexes_has_the_status_of_an_unknown_image(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.change(architecture="riscv64")

    response = await client.get(LATEST, headers=NO_INDEX)

    assert_error(response, 404, "MANIFEST_UNKNOWN")
    assert re.search("no image for riscv64, .* own architecture", response.text)
    assert (await client.get(LATEST, headers=CRANE)).status_code == 200


async def test_the_user_agent_changes_the_order_of_work_and_no_byte(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    one = await client.get(LATEST, headers={**CRANE, "user-agent": DOCKER_AGENT})
    other = await client.get(LATEST, headers={**CRANE, "user-agent": "containerd/1.6.20"})

    assert registry.images.begun_with == ["arm64", ""]
    assert one.content == other.content
    assert headers_of(one) == headers_of(other)


async def test_referrers_of_an_index_are_an_empty_list(client: httpx.AsyncClient) -> None:
    digest = (await client.get(LATEST, headers=CRANE)).headers["docker-content-digest"]

    referrers = await client.get(f"/v2/hello/referrers/{digest}")

    assert referrers.json()["manifests"] == []


async def test_an_unknown_package_is_one_error(client: httpx.AsyncClient) -> None:
    response = await client.get("/v2/helo/manifests/latest", headers=CRANE)

    assert_error(response, 404, "MANIFEST_UNKNOWN")
    assert PackagesUnknown(("helo",), ("hello",)).message in response.text
