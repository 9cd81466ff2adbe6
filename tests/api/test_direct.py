"""Requests of a pull get the responses that the framework's routing would give."""

import json
from collections.abc import AsyncIterator, Iterator
from copy import copy

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware

from app.errors import EvaluationFailed, SourceUnavailable
from app.oci import Digest, MediaType
from app.routers.direct import Direct
from tests.api.registry import Registry, shared_application, with_services
from tests.api.shape import headers_of

MANIFEST = "/v2/shell/git/manifests/latest"
BLOB = "/v2/shell/git/blobs/"
ABSENT = f"sha256:{'0' * 64}"
DOCKER_29 = {"user-agent": "docker/29.7.0 go/go1.25 (linux) containerd/2.3.4"}


@pytest.fixture(scope="module")
def routes() -> FastAPI:
    app = copy(shared_application())
    app.user_middleware = [one for one in app.user_middleware if not _is_direct(one)]
    app.middleware_stack = app.build_middleware_stack()
    return app


@pytest.fixture
async def routed(registry: Registry, routes: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The same services, with the router alone."""
    transport = httpx.ASGITransport(with_services(routes, registry.state))
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        yield client


async def test_the_applications_differ_in_the_routing_only(
    registry: Registry, routed: httpx.AsyncClient
) -> None:
    transport = routed._transport
    assert isinstance(transport, httpx.ASGITransport)
    assert isinstance(transport.app, FastAPI)
    both = registry.app.user_middleware

    assert [_is_direct(one) for one in both].count(True) == 1
    assert len(transport.app.user_middleware) == len(both) - 1


def _is_direct(middleware: Middleware) -> bool:
    return getattr(middleware.cls, "__name__", "") == Direct.__name__


@pytest.mark.slow
async def test_each_response_is_that_of_the_router(
    client: httpx.AsyncClient, routed: httpx.AsyncClient, registry: Registry, log: list[str]
) -> None:
    registry.images.warnings = ('two packages have the same file: "bin/x"', "and ünicode")
    registry.images.broken["htop"] = EvaluationFailed("htop is broken")
    registry.images.broken["hello"] = SourceUnavailable("the source cannot be reached")
    for name in ("htop", "hello", "shell/git"):
        await client.get(f"/v2/{name}/manifests/latest")
    manifest = (await client.get(MANIFEST)).json()
    digest = (await client.get(MANIFEST)).headers["docker-content-digest"]
    layer = manifest["layers"][0]["digest"]

    for method, path, headers in _requests(digest, layer):
        await routed.request(method, path, headers=headers)  # its job, which logs once
        log.clear()
        before = registry.state.responses.copy()
        direct = await client.request(method, path, headers=headers)
        counted, logged = registry.state.responses - before, log.copy()
        log.clear()
        before = registry.state.responses.copy()
        expected = await routed.request(method, path, headers=headers)

        case = (method, path, headers)
        assert direct.status_code == expected.status_code, case
        assert _shown(direct) == _shown(expected), case
        assert direct.content == expected.content, case
        assert counted == registry.state.responses - before, case
        assert _without(logged, direct) == _without(log, expected), case


def _requests(digest: str, layer: str) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    docker: list[tuple[str, str]] = [("accept", MediaType.DOCKER_MANIFEST)]
    several: list[tuple[str, str]] = [
        ("accept", MediaType.OCI_INDEX),
        ("accept", MediaType.OCI_MANIFEST),
    ]
    manifests: tuple[list[tuple[str, str]], ...] = (
        [],
        docker,
        several,
        [("if-none-match", f'"{digest}"')],
        [("if-none-match", "*")],
        [("if-none-match", '"other"'), ("if-none-match", f'W/"{digest}"')],
    )
    ranges = ("bytes=0-0", "bytes=2-", "bytes=-3", "bytes=900000-", "bytes=5-2", "lines=1-2")
    blobs: tuple[list[tuple[str, str]], ...] = (
        [],
        [("if-none-match", f'"{layer}"')],
        *([("range", text)] for text in ranges),
        [("range", "bytes=0-1"), ("if-range", f'"{layer}"')],
        [("range", "bytes=0-1"), ("if-range", '"other"')],
    )
    errors = (
        "/v2/nonesuch/manifests/latest",
        "/v2/shell/git/manifests/nonesuch",
        "/v2/htop/manifests/latest",
        "/v2/hello/manifests/latest",
        "/v2/UPPER/manifests/latest",
        "/v2/a//b/manifests/latest",
        "/v2//manifests/latest",
        "/v2/shell/git/manifests/-",
        "/v2/shell/git/manifests/latest/",
        "/v2/shell/git/manifests/",
        "/v2/manifests/latest",
        "/v2/manifests/manifests/latest",
        "/v2/blobs/manifests/latest",
        "/v2/tags/list/manifests/latest",
        f"/v2/shell/git/manifests/{ABSENT}",
        f"/v2/shell/git/manifests/sha256-{'0' * 64}.sig",
        "/v2/shell/git/manifests/sha256:00",
        "/v2/shell/git/manifests/sha512:" + "0" * 128,
        f"{BLOB}{ABSENT}",
        f"{BLOB}sha256:00",
        f"{BLOB}latest",
        f"{BLOB}{layer}/",
        f"/v2/a/manifests/b/blobs/{layer}",
        f"/v2/a/blobs/b/manifests/{digest}",
        f"/v2/{'a/' * 200}manifests/latest",
        f"/v2/UPPER/blobs/{layer}",
        "/v2/shell/git/tags/list",
        "/v2/",
        "/v2",
        "/v2//",
        "/v2/nothing",
        "/V2/",
        "/",
        "/healthz",
    )
    for method in ("GET", "HEAD"):
        for headers in manifests:
            yield method, MANIFEST, list(headers)
            yield method, f"/v2/shell/git/manifests/{digest}", list(headers)
        for headers in blobs:
            yield method, BLOB + layer, list(headers)
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for path in errors:
            yield method, path, []
            yield method, path, list(DOCKER_29.items())
        yield method, "/v2/a%2fb/manifests/latest", []


def _without(lines: list[str], response: httpx.Response) -> list[str]:
    return [line.replace(response.headers["x-request-id"], "") for line in lines]


def _shown(response: httpx.Response) -> list[tuple[str, str]]:
    return headers_of(response)


async def test_an_image_that_is_being_built_is_redirected(
    client: httpx.AsyncClient, routed: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.seconds["a"] = 1000

    direct = await client.get("/v2/a/manifests/latest?x=1")
    expected = await routed.get("/v2/a/manifests/latest?x=1")

    assert direct.status_code == expected.status_code == 307
    assert headers_of(direct) == headers_of(expected)


async def test_a_damaged_blob_gets_the_error_of_the_route(
    client: httpx.AsyncClient, routed: httpx.AsyncClient, registry: Registry
) -> None:
    layer = json.loads((await client.get(MANIFEST)).content)["layers"][0]["digest"]
    await registry.storage.write(f"blobs/sha256/{layer.removeprefix('sha256:')}", b"cut")

    direct, expected = await client.get(BLOB + layer), await routed.get(BLOB + layer)

    assert direct.status_code == expected.status_code == 404
    assert direct.content == expected.content


async def test_a_fault_of_the_server_is_a_registrys_response(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    class Broken:
        async def read(self, digest: Digest) -> None:
            raise RuntimeError(f"no {digest}")

    registry.change(manifests=Broken())

    response = await client.get(f"/v2/shell/git/manifests/{ABSENT}")

    assert response.status_code == 500
    assert response.json()["errors"][0]["message"] == "internal error"
