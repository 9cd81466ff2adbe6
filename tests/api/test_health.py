"""Probes."""

import asyncio

import httpx

from tests.api.registry import Registry


async def test_a_live_server_is_healthy(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    head = await client.head("/healthz")
    assert head.status_code == 200
    assert head.content == b""


async def test_a_ready_server_lists_what_it_checked(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "stopping": False,
        "checks": [{"name": "storage", "ok": True, "problem": ""}],
    }


async def test_a_server_without_storage_is_alive_and_not_ready(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.problems["storage"] = "no space left in /var/lib/nixery/blobs"

    response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"] == [
        {"name": "storage", "ok": False, "problem": "no space left in blobs"}
    ]
    assert (await client.get("/healthz")).status_code == 200


async def test_a_stopping_server_is_not_ready(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.slow["sleepy"] = asyncio.Event()
    await client.get("/v2/sleepy/manifests/latest")

    await registry.jobs.drain(0)
    response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["stopping"] is True
