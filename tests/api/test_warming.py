"""Builds that a client starts without a pull."""

import asyncio

import httpx
import pytest

from tests.api.registry import Registry
from tests.api.shape import assert_error


async def test_a_build_is_started_and_its_page_named(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    event = registry.images.slow["sleepy"] = asyncio.Event()

    response = await client.post("/api/builds", json={"image": "shell/sleepy:latest"})

    assert response.status_code == 202
    page = response.headers["location"]
    assert response.json() == {"image": "shell/sleepy:latest", "done": False, "page": page}
    assert (await client.get(page)).json()["state"] == "running"
    (running,) = (await client.get("/api/builds")).json()["running"]
    assert running["page"] == page
    event.set()


async def test_a_built_image_leads_to_its_page(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/builds", json={"image": "hello"})

    assert response.status_code == 200
    assert response.headers["location"] == "/images/hello:latest"
    assert response.json()["done"] is True
    assert (await client.get(response.headers["location"])).status_code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: Invalid JSON"),
        (b"{}", "image: Field required"),
        (b'{"image": ["hello"]}', "image: Input should be a valid string"),
        (b"\xff", "body: Invalid JSON"),
    ],
)
async def test_a_malformed_request_is_refused(
    client: httpx.AsyncClient, registry: Registry, body: bytes, message: str
) -> None:
    response = await client.post("/api/builds", content=body)

    assert assert_error(response, 400, "UNSUPPORTED").startswith(message)
    assert registry.jobs.counts.started == 0


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("UPPER", "a repository name is made of lower-case letters"),
        ("", "a repository name is made of lower-case letters"),
        ("hello\n", "a repository name is made of lower-case letters"),
        ("hello:", "a tag is made of letters"),
        ("hello:-x", "a tag is made of letters"),
        ("hello:a:b", "a tag is made of letters"),
        ("localhost:5000/hello", "an image is NAME or NAME:TAG, without the address"),
        (f"hello@sha256:{'0' * 64}", "an image is built by its tag"),
        (f"hello:sha256:{'0' * 64}", "an image is built by its tag"),
    ],
)
async def test_an_invalid_image_is_refused_with_the_reason(
    client: httpx.AsyncClient, registry: Registry, image: str, message: str
) -> None:
    response = await client.post("/api/builds", json={"image": image})

    assert assert_error(response, 400, "NAME_INVALID").startswith(message)
    assert registry.jobs.counts.started == 0


async def test_a_long_body_is_not_read(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/builds", content=b" " * 5000)

    assert_error(response, 413, "UNSUPPORTED")


async def test_a_full_queue_refuses_builds_as_it_does_pulls(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    for number in range(5):
        name = f"sleepy{number}"
        registry.images.slow[name] = asyncio.Event()
        assert (await client.post("/api/builds", json={"image": name})).status_code == 202

    response = await client.post("/api/builds", json={"image": "hello"})

    assert_error(response, 429, "TOOMANYREQUESTS")
    assert int(response.headers["retry-after"]) > 0


async def test_an_unknown_package_is_reported(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/builds", json={"image": "nonesuch"})

    assert "no such package: nonesuch" in assert_error(response, 404, "MANIFEST_UNKNOWN")
