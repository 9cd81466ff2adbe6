"""The version check of clients."""

import asyncio

import httpx
import pytest

from tests.api.registry import Registry
from tests.api.shape import assert_of_a_registry, headers_of


@pytest.mark.parametrize("path", ["/v2/", "/v2", "/v2/?x=1"])
async def test_the_version_check_succeeds(client: httpx.AsyncClient, path: str) -> None:
    get, head = await client.get(path), await client.head(path)

    assert get.status_code == 200
    assert get.content == b"{}"
    assert get.headers["content-type"] == "application/json"
    assert get.headers["content-length"] == "2"
    assert_of_a_registry(get)
    assert headers_of(head) == headers_of(get)
    assert head.content == b""


async def test_the_version_check_succeeds_while_the_queue_is_full(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    for number in range(5):
        registry.images.slow[f"slow{number}"] = asyncio.Event()
    pulls = [
        asyncio.ensure_future(client.get(f"/v2/slow{number}/manifests/latest"))
        for number in range(5)
    ]
    await asyncio.sleep(1)

    async with asyncio.timeout(0.001):  # virtual: any waiting at all would exceed it
        assert (await client.get("/v2/")).status_code == 200
        assert (await client.get("/healthz")).json() == {"status": "ok"}

    await asyncio.gather(*pulls)
