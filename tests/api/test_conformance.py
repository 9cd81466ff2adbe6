"""The distribution specification's own suite, as it runs against a registry without push.

After opencontainers/distribution-spec, conformance at 967efdc: with ``OCI_API_PUSH=false``
these are the requests it makes, of a real server, with the headers it sends.
"""

import secrets
from collections.abc import Iterator

import httpx
import pytest

from app.oci import MediaType
from app.state import Patience
from tests.api.registry import new_registry
from tests.served import served

NAME = "shell/git"
TAGS = ("latest", "nixos-25.05")
ACCEPT = [("accept", MediaType.OCI_INDEX), ("accept", MediaType.OCI_MANIFEST)]


@pytest.fixture(scope="module")
def registry() -> Iterator[httpx.Client]:
    app = new_registry(Patience(hop_seconds=5, hops=9, hold_seconds=5)).app
    with served(app) as address, httpx.Client(base_url=address) as client:
        yield client


@pytest.fixture(scope="module")
def digest(registry: httpx.Client) -> str:
    return registry.get(f"/v2/{NAME}/manifests/latest").headers["docker-content-digest"]


def random_digest() -> str:
    return f"sha256:{secrets.token_hex(32)}"


def assert_empty_index(response: httpx.Response) -> None:
    assert response.status_code == 200
    assert response.headers["content-type"] == MediaType.OCI_INDEX
    index = response.json()
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == MediaType.OCI_INDEX
    assert index["manifests"] == []


def test_ping(registry: httpx.Client) -> None:
    assert registry.get("/v2/").status_code == 200


def test_empty_tag_list(registry: httpx.Client) -> None:
    response = registry.get(f"/v2/{NAME}/tags/list")

    assert response.status_code == 200
    assert isinstance(response.json()["tags"], list)


def test_empty_referrers(registry: httpx.Client) -> None:
    assert_empty_index(registry.get(f"/v2/{NAME}/referrers/{random_digest()}"))


def test_every_tag_is_listed_and_last_is_exclusive_and_complete(registry: httpx.Client) -> None:
    path = f"/v2/{NAME}/tags/list"
    listed = registry.get(path).json()["tags"]
    assert set(TAGS) <= set(listed)

    for index, tag in enumerate(listed):
        after = registry.get(path, params={"last": tag}).json()["tags"]
        assert after == listed[index + 1 :]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_manifests_by_tag_and_digest_are_there(
    registry: httpx.Client, digest: str, method: str
) -> None:
    for reference in (*TAGS, digest):
        response = registry.request(method, f"/v2/{NAME}/manifests/{reference}", headers=ACCEPT)

        assert response.status_code == 200
        assert response.headers["docker-content-digest"] == digest
        assert bool(response.content) == (method == "GET")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_blobs_are_there(registry: httpx.Client, digest: str, method: str) -> None:
    manifest = registry.get(f"/v2/{NAME}/manifests/{digest}").json()

    for descriptor in [manifest["config"], *manifest["layers"]]:
        response = registry.request(method, f"/v2/{NAME}/blobs/{descriptor['digest']}")

        assert response.status_code == 200
        assert response.headers["docker-content-digest"] == descriptor["digest"]
        assert response.headers["content-length"] == str(descriptor["size"])
        assert len(response.content) == (descriptor["size"] if method == "GET" else 0)


def test_referrers_of_what_is_there(registry: httpx.Client, digest: str) -> None:
    assert_empty_index(registry.get(f"/v2/{NAME}/referrers/{digest}"))


@pytest.mark.parametrize("reference", [random_digest(), f"missing-{secrets.token_hex(10)}"])
def test_missing_manifests(registry: httpx.Client, reference: str) -> None:
    response = registry.get(f"/v2/{NAME}/manifests/{reference}", headers=ACCEPT)

    assert response.status_code == 404


def test_a_digest_in_no_format(registry: httpx.Client) -> None:
    response = registry.get(f"/v2/{NAME}/manifests/sha256:baddigeststring", headers=ACCEPT)

    assert response.status_code in {400, 404}


def test_pushing_and_deleting_are_disabled(registry: httpx.Client, digest: str) -> None:
    for method, path in [
        ("POST", "blobs/uploads/"),
        ("POST", f"blobs/uploads/?mount={digest}&from=other"),
        ("PUT", f"blobs/uploads/1?digest={digest}"),
        ("PATCH", "blobs/uploads/1"),
        ("PUT", "manifests/latest"),
        ("DELETE", "manifests/latest"),
        ("DELETE", f"manifests/{digest}"),
        ("DELETE", f"blobs/{digest}"),
    ]:
        response = registry.request(method, f"/v2/{NAME}/{path}", content=b"x" * 100)

        assert response.status_code == 405
        assert registry.get(f"/v2/{NAME}/manifests/{digest}").status_code == 200
