"""Manifests by tag and by digest, as every client asks for them."""

import asyncio
import json
from collections.abc import Iterable

import httpx
import pytest

from app.oci import Digest, MediaType
from tests.api.registry import Registry
from tests.api.shape import assert_error, assert_of_a_registry, headers_of

LATEST = "/v2/shell/git/manifests/latest"
DOCKER_ONLY = {"accept": f"{MediaType.DOCKER_MANIFEST}, {MediaType.DOCKER_LIST}"}


async def test_a_pull_by_tag_builds_and_returns_the_bytes_of_the_manifest(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get(LATEST)

    assert response.status_code == 200
    assert_of_a_registry(response)
    digest = str(Digest.of(response.content))
    assert response.headers["content-type"] == response.json()["mediaType"]
    assert response.headers["content-type"] == MediaType.OCI_MANIFEST
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["docker-content-digest"] == digest
    assert response.headers["etag"] == f'"{digest}"'
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", [{}, DOCKER_ONLY], ids=["canonical", "docker"])
async def test_head_returns_the_headers_of_get_without_a_body(
    client: httpx.AsyncClient, accept: dict[str, str]
) -> None:
    head = await client.head(LATEST, headers=accept)
    get = await client.get(LATEST, headers=accept)

    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert headers_of(head) == headers_of(get)


async def test_a_head_for_an_unbuilt_image_builds_it(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    assert (await client.head(LATEST)).status_code == 200
    assert len(registry.images.builds) == 1


async def test_all_blobs_of_a_manifest_are_stored_before_the_response(
    client: httpx.AsyncClient,
) -> None:
    manifest = (await client.get(LATEST)).json()

    for descriptor in [manifest["config"], *manifest["layers"]]:
        blob = await client.get(f"/v2/shell/git/blobs/{descriptor['digest']}")
        assert blob.status_code == 200
        assert len(blob.content) == descriptor["size"]
        assert str(Digest.of(blob.content)) == descriptor["digest"]


async def test_a_pull_by_digest_ignores_the_accept_header(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    for accept in ({}, DOCKER_ONLY):
        tagged = await client.get(LATEST, headers=accept)
        digest = tagged.headers["docker-content-digest"]
        response = await client.get(
            f"/v2/shell/git/manifests/{digest}", headers={"accept": "text/plain"}
        )

        assert response.content == tagged.content
        assert response.headers["content-type"] == tagged.headers["content-type"]
        assert response.headers["docker-content-digest"] == digest
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "vary" not in response.headers
    assert len(registry.images.builds) == 1


@pytest.mark.parametrize("algorithm", [("sha256", 64), ("sha512", 128)], ids=lambda a: a[0])
async def test_an_unknown_digest_is_not_found_and_builds_nothing(
    client: httpx.AsyncClient, registry: Registry, algorithm: tuple[str, int]
) -> None:
    name, length = algorithm

    response = await client.get(f"/v2/shell/git/manifests/{name}:{'0' * length}")

    assert_error(response, 404, "MANIFEST_UNKNOWN")
    assert registry.images.builds == []


@pytest.mark.parametrize(
    "reference", ["sha256:baddigeststring", "sha256:" + "A" * 64, "latest:", ":"]
)
async def test_a_malformed_digest_is_refused(client: httpx.AsyncClient, reference: str) -> None:
    assert_error(await client.get(f"/v2/shell/git/manifests/{reference}"), 400, "DIGEST_INVALID")


@pytest.mark.parametrize("tag", ["-latest", ".x", "a" * 129, "ab+c"])
async def test_a_malformed_tag_is_not_found(client: httpx.AsyncClient, tag: str) -> None:
    assert_error(await client.get(f"/v2/shell/git/manifests/{tag}"), 404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("name", ["Shell", "a___b", "a..b", "-a", "a/", "a//b", "", "a" * 256])
async def test_a_malformed_name_is_refused(client: httpx.AsyncClient, name: str) -> None:
    assert_error(await client.get(f"/v2/{name}/manifests/latest"), 400, "NAME_INVALID")


@pytest.mark.parametrize(
    "tag",
    [
        "sha256-" + "0" * 64,
        "sha512-" + "0" * 64,
        "sha256-" + "0" * 64 + ".sig",
        "sha256-" + "0" * 64 + ".att",
        "latest.sbom",
    ],
)
async def test_tags_of_signatures_never_reach_the_builder(
    client: httpx.AsyncClient, registry: Registry, tag: str
) -> None:
    assert_error(await client.get(f"/v2/hello/manifests/{tag}"), 404, "MANIFEST_UNKNOWN")
    assert registry.images.builds == []


@pytest.mark.parametrize("name", ["a/manifests/a", "manifests", "tags/blobs", "blobs/manifests/a"])
async def test_names_may_contain_the_words_of_routes(
    client: httpx.AsyncClient, registry: Registry, name: str
) -> None:
    assert (await client.get(f"/v2/{name}/manifests/latest")).status_code == 200
    assert registry.images.builds == [f"{'/'.join(sorted(set(name.split('/'))))}:latest"]


async def test_unknown_query_parameters_change_nothing(client: httpx.AsyncClient) -> None:
    plain = await client.get(LATEST)
    mirrored = await client.get(f"{LATEST}?ns=docker.io&_w=nonsense&x=%2F")

    assert mirrored.status_code == 200
    assert mirrored.content == plain.content


async def test_a_client_with_the_current_manifest_gets_no_body(client: httpx.AsyncClient) -> None:
    etag = (await client.get(LATEST)).headers["etag"]
    digest = etag.strip('"')

    for path in (LATEST, f"/v2/shell/git/manifests/{digest}"):
        for condition in (etag, f'"x", W/{etag}', "*"):
            response = await client.get(path, headers={"if-none-match": condition})
            assert response.status_code == 304
            assert response.content == b""
            assert response.headers["etag"] == etag
            assert response.headers["docker-content-digest"] == digest
        assert (await client.get(path, headers={"if-none-match": '"x"'})).status_code == 200


async def test_all_accept_headers_count_in_any_order(client: httpx.AsyncClient) -> None:
    accepted = [
        ("accept", media_type)
        for media_type in (MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LIST, MediaType.OCI_MANIFEST)
    ]

    for headers in (accepted, accepted[::-1]):
        response = await client.get(LATEST, headers=headers)
        assert response.headers["content-type"] == MediaType.OCI_MANIFEST


async def test_nothing_is_ever_compressed_again(client: httpx.AsyncClient) -> None:
    head = await client.head(LATEST)
    get = await client.get(LATEST, headers={"accept-encoding": "zstd, gzip, br"})

    assert "content-encoding" not in get.headers
    assert get.headers["content-length"] == head.headers["content-length"]


async def test_warnings_are_printed_by_clients_as_one_quoted_line_each(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.warnings = ('channel "x" is\r\nInjected: stale…', "second")

    response = await client.get(LATEST)

    assert response.headers.get_list("warning") == [
        "299 - \"channel 'x' is Injected: stale...\"",
        '299 - "second"',
    ]
    assert "injected" not in response.headers


async def test_twenty_clients_at_once_cause_one_build(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    event = registry.images.slow.setdefault("sleepy", asyncio.Event())
    asyncio.get_running_loop().call_later(10, event.set)
    requests: Iterable[httpx.Response] = await asyncio.gather(
        *(
            client.request("HEAD" if number % 2 else "GET", "/v2/sleepy/manifests/latest")
            for number in range(20)
        )
    )

    assert {response.status_code for response in requests} == {200}
    assert len({response.headers["docker-content-digest"] for response in requests}) == 1
    assert registry.images.builds == ["sleepy:latest"]


async def test_manifests_are_small_json_documents(client: httpx.AsyncClient) -> None:
    response = await client.get(LATEST)

    assert json.loads(response.content)["schemaVersion"] == 2
    assert len(response.content) < 4 << 20


async def test_a_client_that_accepts_only_schema_2_is_refused_an_image_without_it(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.docker = False

    get = await client.get(LATEST, headers=DOCKER_ONLY)
    head = await client.head(LATEST, headers=DOCKER_ONLY)

    message = assert_error(get, 406, "UNSUPPORTED")
    assert "NIXERY_CODEC=zstd" in message
    assert (head.status_code, headers_of(head)) == (406, headers_of(get))
    canonical = await client.get(LATEST)
    by_digest = await client.get(
        f"/v2/shell/git/manifests/{canonical.headers['docker-content-digest']}",
        headers=DOCKER_ONLY,
    )
    assert by_digest.content == canonical.content
