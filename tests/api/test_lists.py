"""Tags, catalog and referrers."""

import httpx
import pytest

from app.oci import MediaType
from tests.api.images import TAGS
from tests.api.registry import Registry
from tests.api.shape import assert_error, assert_of_a_registry, headers_of

DIGEST = "sha256:" + "0" * 64


async def test_tags_are_listed_sorted(client: httpx.AsyncClient) -> None:
    response = await client.get("/v2/shell/git/tags/list")

    assert_of_a_registry(response)
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"name": "shell/git", "tags": sorted(TAGS)}
    assert "link" not in response.headers


async def test_links_are_relative_and_lead_to_the_end(client: httpx.AsyncClient) -> None:
    first = await client.get("/v2/shell/git/tags/list?n=2")
    assert first.json()["tags"] == ["latest", "nixos-25.05"]
    assert first.headers["link"] == '</v2/shell/git/tags/list?n=2&last=nixos-25.05>; rel="next"'

    second = await client.get("/v2/shell/git/tags/list?n=2&last=nixos-25.05")
    assert second.json()["tags"] == ["v1.0"]
    assert "link" not in second.headers


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        ("n=3", sorted(TAGS)),
        ("n=0", []),
        # Clients that want all send the greatest number of theirs.
        (f"n={2**63 - 1}", sorted(TAGS)),
        ("n=" + "9" * 5000, sorted(TAGS)),
        ("n=" + "0" * 5000, []),
        ("last=m", ["nixos-25.05", "v1.0"]),
        ("last=zzz", []),
        ("last=%00%ff", sorted(TAGS)),
        ("ns=docker.io", sorted(TAGS)),
    ],
)
async def test_a_page_that_ends_the_list_has_no_link(
    client: httpx.AsyncClient, query: str, tags: list[str]
) -> None:
    response = await client.get(f"/v2/hello/tags/list?{query}")

    assert response.json()["tags"] == tags
    assert "link" not in response.headers


@pytest.mark.parametrize("n", ["-1", "x", "1.0", "", " 1", "1_0", "\N{ARABIC-INDIC DIGIT ONE}"])
async def test_n_is_a_whole_number(client: httpx.AsyncClient, n: str) -> None:
    response = await client.get("/v2/hello/tags/list", params={"n": n})

    assert_error(response, 400, "UNSUPPORTED")


async def test_an_invalid_repository_has_no_tags(client: httpx.AsyncClient) -> None:
    assert_error(await client.get("/v2/helo/tags/list"), 404, "NAME_UNKNOWN")
    assert_error(await client.get("/v2/Hello/tags/list"), 400, "NAME_INVALID")


async def test_lists_build_nothing(client: httpx.AsyncClient, registry: Registry) -> None:
    await client.get("/v2/hello/tags/list")
    await client.get(f"/v2/hello/referrers/{DIGEST}")
    await client.get("/v2/_catalog")

    assert registry.images.builds == []


async def test_the_catalog_is_off_unless_switched_on(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    assert_error(await client.get("/v2/_catalog"), 404, "UNSUPPORTED")

    registry.change(catalog=True)
    for name in ("shell/git", "hello"):
        await client.get(f"/v2/{name}/manifests/latest")
    response = await client.get("/v2/_catalog?n=1")

    assert response.json() == {"repositories": ["hello"]}
    assert response.headers["link"] == '</v2/_catalog?n=1&last=hello>; rel="next"'
    rest = await client.get("/v2/_catalog?n=1&last=hello")
    assert rest.json() == {"repositories": ["shell/git"]}


async def test_the_referrers_of_a_digest_are_an_empty_list(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/v2/hello/referrers/{DIGEST}")

    assert response.status_code == 200
    assert_of_a_registry(response)
    assert response.headers["content-type"] == MediaType.OCI_INDEX
    assert response.json() == {
        "schemaVersion": 2,
        "mediaType": MediaType.OCI_INDEX,
        "manifests": [],
    }
    assert "oci-filters-applied" not in response.headers


async def test_a_filter_of_referrers_is_acknowledged(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/v2/hello/referrers/{DIGEST}?artifactType=application/x")

    assert response.headers["oci-filters-applied"] == "artifactType"


async def test_referrers_of_a_malformed_digest_are_refused(client: httpx.AsyncClient) -> None:
    assert_error(await client.get("/v2/hello/referrers/sha256:x"), 400, "DIGEST_INVALID")
    assert_error(await client.get("/v2/hello/referrers/latest"), 400, "DIGEST_INVALID")


@pytest.mark.parametrize("path", ["/v2/hello/tags/list?n=1", f"/v2/hello/referrers/{DIGEST}"])
async def test_head_of_a_list_returns_the_headers_of_get(
    client: httpx.AsyncClient, path: str
) -> None:
    head, get = await client.head(path), await client.get(path)

    assert headers_of(head) == headers_of(get)
    assert head.content == b""
