"""Each request has an identifier, in its response, its log lines and those of the build it starts."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from loguru import logger

from app.access.proxies import ProxyHeader, networks
from app.errors import EvaluationFailed, SourceUnavailable
from app.routers.forwarded import Forwarded
from app.telemetry.log import LogFormat, set_up
from tests.api.registry import Registry

LATEST = "/v2/shell/git/manifests/latest"
GIVEN = {"x-request-id": "0af7651916cd43dd8448eb211c80319c"}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    set_up(level="DEBUG", form=LogFormat.JSON, stream=stream)
    yield stream
    logger.remove()
    logging.basicConfig(handlers=[], force=True)


@pytest.fixture
async def behind_proxy(registry: Registry) -> AsyncIterator[httpx.AsyncClient]:
    """The way of a request through a server; the proxy is trusted."""
    app = Forwarded(registry.app, trusted=networks("127.0.0.1"), header=ProxyHeader.X_FORWARDED_FOR)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        yield client


def logged(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.mark.parametrize(
    "path", ["/v2/", LATEST, "/v2/x/blobs/sha256:0", "/healthz", "/", "/nothing", "/api/search?q=g"]
)
async def test_each_response_has_another_identifier(client: httpx.AsyncClient, path: str) -> None:
    found = {(await client.get(path)).headers["x-request-id"] for _ in range(3)}

    assert len(found) == 3


async def test_an_untrusted_clients_identifier_is_not_used(client: httpx.AsyncClient) -> None:
    response = await client.get("/v2/", headers=GIVEN)

    assert response.headers["x-request-id"] != GIVEN["x-request-id"]


async def test_the_identifier_of_a_trusted_proxy_is_in_the_response(
    behind_proxy: httpx.AsyncClient,
) -> None:
    for path in ("/v2/", LATEST, "/v2/UPPER/manifests/latest", "/builds"):
        response = await behind_proxy.get(path, headers=GIVEN)
        assert response.headers["x-request-id"] == GIVEN["x-request-id"]


async def test_log_lines_of_a_request_name_it(
    client: httpx.AsyncClient, lines: io.StringIO
) -> None:
    direct = await client.get("/v2/UPPER/manifests/latest")
    routed = await client.get("/v2/UPPER/tags/list")

    requests = [line["request"] for line in logged(lines) if "code" in line]
    assert requests == [one.headers["x-request-id"] for one in (direct, routed)]


async def test_lines_and_page_of_a_build_name_the_request_that_started_it(
    client: httpx.AsyncClient, registry: Registry, lines: io.StringIO
) -> None:
    registry.images.seconds["htop"] = 30
    registry.images.broken["hello"] = SourceUnavailable("the source cannot be reached")

    first = await client.get("/v2/htop/manifests/latest")
    await client.get("/v2/htop/manifests/latest?_w=1")
    failed = await client.get("/v2/hello/manifests/latest")

    build = (await client.get("/builds?image=htop")).json()["finished"][0]
    assert build["request"] == first.headers["x-request-id"]
    (done,) = [line for line in logged(lines) if line["message"].startswith("htop:latest done")]
    assert (done["build"], done["request"]) == (build["id"], first.headers["x-request-id"])
    (ended,) = [line for line in logged(lines) if "failed after" in line["message"]]
    assert ended["request"] == failed.headers["x-request-id"]


async def test_a_build_has_nothing_else_of_the_request(
    client: httpx.AsyncClient, registry: Registry, lines: io.StringIO
) -> None:
    registry.images.broken["hello"] = EvaluationFailed("hello is broken")

    with logger.contextualize(secret="of the request"):
        await client.get("/v2/hello/manifests/latest")

    (ended,) = [line for line in logged(lines) if "failed after" in line["message"]]
    assert "secret" not in ended


async def test_lines_outside_of_requests_name_none(lines: io.StringIO) -> None:
    logger.info("the server starts")

    (line,) = logged(lines)
    assert "request" not in line
