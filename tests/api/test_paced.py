"""Requests of one client that cost much do not delay pulls, probes and other clients."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.access.proxies import ProxyHeader, networks
from app.routers.forwarded import Forwarded
from app.routers.paced import Paced
from app.system.loop_share import LoopShare
from tests.api.registry import Registry

BUILT = "/v2/shell/git/manifests/latest"
FLOOD = 40
OTHER = {"x-forwarded-for": "192.0.2.7"}
COSTLY = (
    "/api/plan/shell/git",
    "/plan/shell/git",
    "/images/shell/git",
    "/api/search?q=git",
    "/api/builds",
    "/builds",
    "/debug",
    "/v2/shell/git/tags/list",
    "/v2/_catalog",
    "/",
    "/nothing",
    "/static/site.css",
)


@pytest.fixture
async def client(registry: Registry) -> AsyncIterator[httpx.AsyncClient]:
    """The client of a proxy; each step of work that is paced has a turn of its own."""
    registry.change(loop_share=LoopShare(seconds=0, waiting_each=FLOOD))
    app = Forwarded(registry.app, trusted=networks("127.0.0.1"), header=ProxyHeader.X_FORWARDED_FOR)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        assert (await client.get(BUILT)).status_code == 200
        yield client


async def flooded(client: httpx.AsyncClient, costly: str, path: str) -> int:
    """Return how many responses to a flood came before one to a request that was sent after it."""
    flood = [asyncio.create_task(client.get(costly)) for _ in range(FLOOD)]
    last = asyncio.create_task(client.get(path, headers=OTHER))
    response = await last
    assert response.status_code == 200
    before = sum(task.done() for task in flood)
    await asyncio.gather(*flood)
    return before


@pytest.mark.parametrize("costly", COSTLY)
async def test_pulls_and_the_probe_are_before_a_flood(
    client: httpx.AsyncClient, costly: str
) -> None:
    for path in (BUILT, "/healthz"):
        assert await flooded(client, costly, path) <= 2


async def test_another_clients_page_and_the_operators_are_not_behind_a_flood(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/api/builds", "/metrics", "/readyz"):
        assert await flooded(client, "/api/builds", path) < FLOOD / 2


async def test_other_events_of_the_server_pass() -> None:
    passed: list[Scope] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        passed.append(scope)

    async def receive() -> Message:
        raise AssertionError("nothing to receive")

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await Paced(application)({"type": "lifespan"}, receive, send)

    assert passed == [{"type": "lifespan"}]


async def test_a_client_with_too_many_waiting_requests_is_refused(
    client: httpx.AsyncClient,
) -> None:
    responses = await asyncio.gather(*(client.get("/api/builds") for _ in range(2 * FLOOD)))
    probes = await asyncio.gather(*(client.get("/metrics") for _ in range(2 * FLOOD)))

    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= FLOOD
    [refused, *_] = [response for response in responses if response.status_code == 429]
    assert refused.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert int(refused.headers["retry-after"]) > 0
    assert {response.status_code for response in probes} == {200}
