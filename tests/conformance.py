"""The distribution specification's own suite, as it runs against a registry without push.

After opencontainers/distribution-spec, conformance at 967efdc: with ``OCI_API_PUSH=false``
these are the requests it makes, of a real server, with the headers it sends.
"""

import secrets
from dataclasses import dataclass

import httpx
import pytest

from app.oci import Digest, MediaType

ACCEPT = [("accept", MediaType.OCI_INDEX), ("accept", MediaType.OCI_MANIFEST)]


@dataclass(frozen=True, slots=True)
class Image:
    """One that is built, under each of the tags, and what its manifest's digest is."""

    name: str
    tags: tuple[str, ...]
    digest: str


def random_digest() -> str:
    return f"sha256:{secrets.token_hex(32)}"


def assert_empty_index(response: httpx.Response) -> None:
    assert response.status_code == 200
    assert response.headers["content-type"] == MediaType.OCI_INDEX
    index = response.json()
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == MediaType.OCI_INDEX
    assert index["manifests"] == []


class Conformance:
    """For suites with the fixtures ``registry``, its client, and ``image``, which is in it."""

    def test_a_registry_identifies_itself(self, registry: httpx.Client) -> None:
        assert registry.get("/v2/").status_code == 200

    def test_empty_tag_list(self, registry: httpx.Client, image: Image) -> None:
        response = registry.get(f"/v2/{image.name}/tags/list")

        assert response.status_code == 200
        assert isinstance(response.json()["tags"], list)

    def test_empty_referrers(self, registry: httpx.Client, image: Image) -> None:
        assert_empty_index(registry.get(f"/v2/{image.name}/referrers/{random_digest()}"))

    def test_every_tag_is_listed_and_last_is_exclusive_and_complete(
        self, registry: httpx.Client, image: Image
    ) -> None:
        path = f"/v2/{image.name}/tags/list"
        listed = registry.get(path).json()["tags"]
        assert set(image.tags) <= set(listed)

        for index, tag in enumerate(listed):
            after = registry.get(path, params={"last": tag}).json()["tags"]
            assert after == listed[index + 1 :]

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    def test_manifests_by_tag_and_digest_are_there(
        self, registry: httpx.Client, image: Image, method: str
    ) -> None:
        for reference in (*image.tags, image.digest):
            response = registry.request(
                method, f"/v2/{image.name}/manifests/{reference}", headers=ACCEPT
            )

            assert response.status_code == 200
            assert response.headers["docker-content-digest"] == image.digest
            assert bool(response.content) == (method == "GET")

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    def test_blobs_are_there(self, registry: httpx.Client, image: Image, method: str) -> None:
        manifest = registry.get(f"/v2/{image.name}/manifests/{image.digest}").json()

        for descriptor in [manifest["config"], *manifest["layers"]]:
            response = registry.request(method, f"/v2/{image.name}/blobs/{descriptor['digest']}")

            assert response.status_code == 200
            assert response.headers["docker-content-digest"] == descriptor["digest"]
            assert response.headers["content-length"] == str(descriptor["size"])
            content = response.content
            assert len(content) == (descriptor["size"] if method == "GET" else 0)
            assert method == "HEAD" or str(Digest.of(content)) == descriptor["digest"]

    def test_referrers_of_a_stored_manifest(self, registry: httpx.Client, image: Image) -> None:
        assert_empty_index(registry.get(f"/v2/{image.name}/referrers/{image.digest}"))

    @pytest.mark.parametrize(
        "reference", [random_digest(), f"missing-{secrets.token_hex(10)}"], ids=["digest", "tag"]
    )
    def test_a_manifest_that_is_not_there_is_not_found(
        self, registry: httpx.Client, image: Image, reference: str
    ) -> None:
        response = registry.get(f"/v2/{image.name}/manifests/{reference}", headers=ACCEPT)

        assert response.status_code == 404

    def test_a_digest_in_no_format_is_refused(self, registry: httpx.Client, image: Image) -> None:
        response = registry.get(
            f"/v2/{image.name}/manifests/sha256:baddigeststring", headers=ACCEPT
        )

        assert response.status_code == 400

    def test_pushing_and_deleting_are_disabled(self, registry: httpx.Client, image: Image) -> None:
        for method, path in [
            ("POST", "blobs/uploads/"),
            ("POST", f"blobs/uploads/?mount={image.digest}&from=other"),
            ("PUT", f"blobs/uploads/1?digest={image.digest}"),
            ("PATCH", "blobs/uploads/1"),
            ("PUT", "manifests/latest"),
            ("DELETE", "manifests/latest"),
            ("DELETE", f"manifests/{image.digest}"),
            ("DELETE", f"blobs/{image.digest}"),
        ]:
            response = registry.request(method, f"/v2/{image.name}/{path}", content=b"x" * 100)

            assert response.status_code == 405
            assert registry.get(f"/v2/{image.name}/manifests/{image.digest}").status_code == 200
