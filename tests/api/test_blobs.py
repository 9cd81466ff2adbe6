"""Blobs through the whole of the server; ranges in detail are app.routers.blob_response's."""

import httpx
import pytest

from app.oci import Descriptor, Digest, MediaType
from app.storage import keys
from tests.api.registry import Registry
from tests.api.shape import assert_error, assert_of_a_registry, headers_of

BODY = bytes(range(100))


@pytest.fixture
async def path(registry: Registry) -> str:
    return f"/v2/hello/blobs/{await registry.blobs.write_blob(BODY)}"


async def test_a_blob_is_served_with_all_that_caches_and_clients_need(
    client: httpx.AsyncClient, path: str
) -> None:
    get, head = await client.get(path), await client.head(path)

    assert get.status_code == 200
    assert_of_a_registry(get)
    assert get.content == BODY
    assert get.headers["content-type"] == "application/octet-stream"
    assert get.headers["content-length"] == "100"
    assert get.headers["docker-content-digest"] == str(Digest.of(BODY))
    assert get.headers["etag"] == f'"{Digest.of(BODY)}"'
    assert get.headers["accept-ranges"] == "bytes"
    assert get.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "content-encoding" not in get.headers
    assert headers_of(head) == headers_of(get)
    assert head.content == b""


async def test_the_response_to_a_range_beyond_the_end_has_the_size(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path, headers={"range": "bytes=100-"})

    assert_error(response, 416, "UNSUPPORTED")
    assert response.headers["content-range"] == "bytes */100"


async def test_a_range_is_served(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"range": "bytes=-10"})

    assert response.status_code == 206
    assert response.content == BODY[-10:]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_absent_blob_is_never_an_empty_success(
    client: httpx.AsyncClient, registry: Registry, method: str
) -> None:
    for digest in ("sha256:" + "0" * 64, "sha512:" + "0" * 128):
        response = await client.request(method, f"/v2/hello/blobs/{digest}")

        assert response.status_code == 404
    assert registry.images.builds == []


async def test_the_error_for_an_absent_blob_has_its_digest(client: httpx.AsyncClient) -> None:
    assert_error(await client.get(f"/v2/hello/blobs/sha256:{'0' * 64}"), 404, "BLOB_UNKNOWN")


@pytest.mark.parametrize(
    "digest", ["latest", "sha256:", "sha256:" + "0" * 63, "sha256:" + "G" * 64]
)
async def test_a_malformed_digest_is_refused(client: httpx.AsyncClient, digest: str) -> None:
    assert_error(await client.get(f"/v2/hello/blobs/{digest}"), 400, "DIGEST_INVALID")


async def test_a_manifest_is_not_a_blob(client: httpx.AsyncClient) -> None:
    manifest = await client.get("/v2/hello/manifests/latest")

    response = await client.get(f"/v2/hello/blobs/{manifest.headers['docker-content-digest']}")

    assert_error(response, 404, "BLOB_UNKNOWN")


async def test_an_absent_blob_is_made_again_at_the_next_pull(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    manifest = (await client.get("/v2/hello/manifests/latest")).json()
    size, digest = manifest["layers"][0]["size"], Digest.parse(manifest["layers"][0]["digest"])
    layer = Descriptor(MediaType.OCI_LAYER_GZIP, digest, size)
    await registry.storage.delete(keys.blob(digest))
    assert await registry.existence.has(layer)

    response = await client.get(f"/v2/hello/blobs/{digest}")

    assert_error(response, 404, "BLOB_UNKNOWN")
    assert not await registry.existence.has(layer)


@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-3"}, {"if-none-match": "*"}])
async def test_a_blob_cut_short_is_missing_until_the_next_pull_by_tag(
    client: httpx.AsyncClient, registry: Registry, headers: dict[str, str]
) -> None:
    manifest = (await client.get("/v2/hello/manifests/latest")).json()
    size, layer = manifest["layers"][0]["size"], Digest.parse(manifest["layers"][0]["digest"])
    whole = await registry.storage.read(keys.blob(layer))
    await registry.storage.write(keys.blob(layer), whole[:-1])

    get = await client.get(f"/v2/hello/blobs/{layer}", headers=headers)
    head = await client.head(f"/v2/hello/blobs/{layer}", headers=headers)

    message = assert_error(get, 404, "BLOB_UNKNOWN")
    assert f"{len(whole) - 1} bytes instead of {len(whole)}" in message
    assert "pull by tag" in message
    assert (head.status_code, headers_of(head)) == (404, headers_of(get))
    descriptor = Descriptor(MediaType.OCI_LAYER_GZIP, layer, size)
    assert not await registry.existence.has(descriptor)
    await registry.storage.write(keys.blob(layer), whole)
    assert (await client.get(f"/v2/hello/blobs/{layer}")).content == whole
