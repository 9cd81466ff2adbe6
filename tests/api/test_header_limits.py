"""Clients with containerd's header limit of 30 s, against the default waiting; virtual time."""

import asyncio
import socket
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from app.state import WaitPolicy
from tests.api.registry import Registry, new_registry
from tests.served import served
from tests.waiting import wait_until

LIMIT = 30.0
HOP = 20.0
HOPS = 9
SLOW = "/v2/sleepy/manifests/latest"
CONTAINERD = "containerd/2.3.4+unknown"
PODMAN = "containers/5.39.2"


@pytest.fixture
def registry() -> Registry:
    return new_registry(WaitPolicy(redirect_seconds=HOP, redirects=HOPS, hold_seconds=900))


async def resolve(
    client: httpx.AsyncClient, user_agent: str, *, limit: float | None, attempts: int
) -> tuple[int, int]:
    """The status of a HEAD and how often it was redirected.

    As containerd makes it: each redirect is a request with a limit of its own, ten are followed,
    and 429 is tried again at once.
    """
    status, redirects = 0, 0
    for _ in range(attempts):
        url, status, redirects = SLOW, 307, -1
        while status == 307:
            redirects += 1
            assert redirects <= 10
            async with asyncio.timeout(limit):
                response = await client.head(url, headers={"user-agent": user_agent})
            status = response.status_code
            url = str(response.url.join(response.headers.get("location", "")))
        if status != 429:
            break
    return status, redirects


async def test_a_build_longer_than_the_header_limit_is_pulled_by_redirects(
    registry: Registry, client: httpx.AsyncClient
) -> None:
    registry.images.seconds["sleepy"] = LIMIT + HOP / 2

    status, redirects = await resolve(client, CONTAINERD, limit=LIMIT, attempts=1)

    assert (status, redirects) == (200, 1 + int(LIMIT / HOP))
    assert len(registry.images.builds) == 1


@pytest.mark.slow
async def test_a_build_longer_than_all_redirects_is_pulled_by_retries_of_the_client(
    registry: Registry, client: httpx.AsyncClient
) -> None:
    registry.images.seconds["sleepy"] = 4 * (HOPS + 1) * HOP + HOP * 1.5

    status, redirects = await resolve(client, CONTAINERD, limit=LIMIT, attempts=5)

    assert (status, redirects) == (200, 1)
    assert len(registry.images.builds) == 1


async def test_a_held_client_exceeds_the_limit_of_these_tests(
    registry: Registry, client: httpx.AsyncClient
) -> None:
    registry.images.seconds["sleepy"] = (HOPS + 1) * HOP + LIMIT

    with pytest.raises(TimeoutError):
        await resolve(client, PODMAN, limit=LIMIT, attempts=1)


async def test_a_client_without_a_limit_is_held_until_its_image_is_built(
    registry: Registry, client: httpx.AsyncClient
) -> None:
    registry.images.seconds["sleepy"] = HOPS * HOP + 899

    assert await resolve(client, PODMAN, limit=None, attempts=1) == (200, HOPS)


@pytest.mark.slow
async def test_twenty_impatient_clients_cost_one_build(
    registry: Registry, client: httpx.AsyncClient
) -> None:
    registry.images.seconds["sleepy"] = LIMIT + HOP

    pulls = (resolve(client, CONTAINERD, limit=LIMIT, attempts=5) for _ in range(20))

    assert {status for status, _ in await asyncio.gather(*pulls)} == {200}
    assert len(registry.images.builds) == 1


def has_more_pulls(registry: Registry, number: int) -> bool:
    return len(registry.images.begun_with) > number


@pytest.fixture
def address(registry: Registry) -> Iterator[str]:
    with served(registry.app, drain_seconds=1) as address:
        yield address


@pytest.mark.slow
def test_a_disconnect_ends_the_request_and_not_the_build(
    registry: Registry, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry.images.seconds["sleepy"] = 1
    host, port = address.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            asked = len(registry.images.begun_with)
            connection.sendall(f"GET {SLOW}?_w={HOPS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_until(partial(has_more_pulls, registry, asked))

    response = httpx.head(address + SLOW, headers={"user-agent": PODMAN}, timeout=300)

    assert response.status_code == 200
    assert len(registry.images.builds) == 1
    assert not [record for record in caplog.records if record.exc_info]
