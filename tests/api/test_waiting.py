"""Builds that take longer than a request waits; the clock of the event loop is virtual."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

import httpx
import pytest

from app.state import WaitPolicy
from tests.api.asgi import ask, hang_up
from tests.api.registry import Registry
from tests.api.shape import assert_error, assert_of_a_registry

SLOW = "/v2/shell/sleepy/manifests/latest"
CONTAINERD = {"user-agent": "containerd/2.3.4+unknown"}
PODMAN = {"user-agent": "containers/5.39.2 (github.com/containers/image)"}


@pytest.fixture(autouse=True)
def sleepy(registry: Registry) -> asyncio.Event:
    return registry.images.slow.setdefault("sleepy", asyncio.Event())


@contextmanager
def taking(seconds: float) -> Iterator[None]:
    clock = asyncio.get_running_loop().time
    begun = clock()
    yield
    assert clock() - begun == pytest.approx(seconds)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_request_is_redirected_to_itself_after_some_time(
    client: httpx.AsyncClient, method: str
) -> None:
    with taking(20):
        response = await client.request(method, SLOW)

    assert response.status_code == 307
    assert_of_a_registry(response)
    assert response.headers["location"] == "?_w=1"
    assert response.headers["cache-control"] == "no-store"
    assert response.content == b""


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("_w=2", "?_w=3"),
        ("ns=docker.io&_w=1&x=y%20z", "?ns=docker.io&x=y%20z&_w=2"),
        ("_w=-1", "?_w=1"),
        ("_w=nonsense&_w=1", "?_w=2"),
        ("_w", "?_w=1"),
        ("x_w=2&&y", "?x_w=2&y&_w=1"),
        ('x=<y>"', "?x=%3Cy%3E%22&_w=1"),
    ],
)
async def test_redirects_keep_other_query_parameters(
    registry: Registry, client: httpx.AsyncClient, query: str, location: str
) -> None:
    url = httpx.URL("http://registry" + SLOW).copy_with(query=query.encode())

    response = await client.get(url)

    assert response.headers["location"] == location
    assert urljoin(SLOW, location).startswith(SLOW + "?")


async def test_a_client_that_follows_redirects_gets_its_image(
    client: httpx.AsyncClient, registry: Registry, sleepy: asyncio.Event
) -> None:
    async def end_at_the_second(response: httpx.Response) -> None:
        if response.headers.get("location") == "?_w=2":
            sleepy.set()

    client.event_hooks["response"].append(end_at_the_second)

    response = await client.get(SLOW, follow_redirects=True)

    assert response.status_code == 200
    assert len(response.history) == 2
    assert len(registry.images.builds) == 1
    assert response.content == (await client.get(SLOW)).content


async def test_no_client_is_redirected_more_often_than_go_follows(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    response = await client.head(SLOW, headers=CONTAINERD, follow_redirects=True)

    assert response.status_code == 429
    assert len(response.history) == registry.state.wait_policy.redirects


@pytest.mark.parametrize(
    "user_agent",
    [
        "containerd/2.3.4+unknown",
        "containerd/v2.10.0",
        "containerd/3.0.0",
        "docker/29.7.2 go/go1.26 os/linux containerd-client/2.3.1+unknown storage-driver/overlayfs",
        "buildkit/v0.32",
    ],
)
async def test_clients_with_a_header_limit_get_429_at_the_last_redirect(
    client: httpx.AsyncClient, user_agent: str
) -> None:
    with taking(20):
        response = await client.get(f"{SLOW}?_w=3", headers={"user-agent": user_agent})

    message = assert_error(response, 429, "TOOMANYREQUESTS")
    assert message.startswith("still building shell/sleepy:latest (realising sleepy) (see http://")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "user_agent",
    [
        "containers/5.39.2 (github.com/containers/image)",
        "containerd/1.6.20~ds1",
        "containerd/v2.2.9",
        "docker/20.10.24+dfsg1 go/go1.19.8 kernel/6.1 os/linux arch/amd64",
        "docker/29.5.0 containerd-client/2.2.1+unknown",
        "go-containerregistry/v0.20",
        "",
    ],
)
async def test_clients_without_a_limit_are_held_at_the_last_redirect(
    client: httpx.AsyncClient, user_agent: str
) -> None:
    with taking(900):
        response = await client.get(f"{SLOW}?_w=3", headers={"user-agent": user_agent})

    assert_error(response, 429, "TOOMANYREQUESTS")


async def test_without_hops_the_first_request_is_held(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.change(wait_policy=WaitPolicy(redirect_seconds=20, redirects=0, hold_seconds=900))

    with taking(900):
        response = await client.get(SLOW, headers=PODMAN)

    assert_error(response, 429, "TOOMANYREQUESTS")


@pytest.mark.parametrize("redirect", ["3", "7", "999"])
async def test_a_held_request_ends_with_the_build(
    client: httpx.AsyncClient, sleepy: asyncio.Event, redirect: str
) -> None:
    asyncio.get_running_loop().call_later(899, sleepy.set)

    with taking(899):
        response = await client.get(f"{SLOW}?_w={redirect}", headers=PODMAN)

    assert response.status_code == 200


async def test_a_failure_reaches_the_client_through_the_redirects(
    client: httpx.AsyncClient, registry: Registry, sleepy: asyncio.Event
) -> None:
    asyncio.get_running_loop().call_later(50, sleepy.set)

    with taking(50):
        response = await client.get(
            "/v2/sleepy/typo/manifests/latest", follow_redirects=True, headers=CONTAINERD
        )

    assert len(response.history) == 2
    assert_error(response, 403, "MANIFEST_UNKNOWN")


async def test_a_built_image_is_served_after_any_number_of_redirects(
    client: httpx.AsyncClient, sleepy: asyncio.Event
) -> None:
    sleepy.set()

    for query in ("", "?_w=1", "?_w=9", "?_w=junk"):
        assert (await client.get(SLOW + query)).status_code == 200


async def test_a_disconnect_does_not_cancel_the_build(
    client: httpx.AsyncClient, registry: Registry, sleepy: asyncio.Event
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await client.get(SLOW)
    sleepy.set()

    assert (await client.get(SLOW)).status_code == 200
    assert len(registry.images.builds) == 1


async def test_a_request_ends_when_its_client_disconnects(
    registry: Registry, client: httpx.AsyncClient
) -> None:
    with taking(0.1):  # a client that left is noticed after _FIND_SECONDS, here twice
        await ask(registry.app, "GET", SLOW.encode(), receive=hang_up)
        await ask(registry.app, "GET", SLOW.encode(), query=b"_w=3", receive=hang_up)

    assert registry.jobs.running


async def test_a_full_queue_is_429_with_a_retry_after(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    pulls = []
    for number in range(5):
        registry.images.slow[f"slow{number}"] = asyncio.Event()
        pulls.append(client.get(f"/v2/slow{number}/manifests/latest"))
    running = asyncio.gather(*pulls)
    await asyncio.sleep(1)

    response = await client.get("/v2/hello/manifests/latest")

    message = assert_error(response, 429, "TOOMANYREQUESTS")
    assert message == "too many builds wait for evaluation; try again in 14 s"
    assert response.headers["retry-after"] == "14"  # (3 + 1) x 7 s / 2 at once
    assert registry.jobs.finished == ()  # its page would push out one that is read
    await running


async def test_a_build_uses_the_shares_of_all_its_clients(
    registry: Registry, sleepy: asyncio.Event
) -> None:
    addresses = ("192.0.2.1", "2001:db8::1", "2001:db8::2")
    for address in addresses:
        transport = httpx.ASGITransport(registry.app, client=(address, 4000))
        async with httpx.AsyncClient(transport=transport, base_url="http://registry") as one:
            await one.get(SLOW)

    (job,) = registry.jobs.running
    assert list(job.progress.clients) == ["192.0.2.1", "2001:db8::/64"]
    sleepy.set()


async def test_a_stopping_server_refuses_new_builds(
    client: httpx.AsyncClient, registry: Registry, sleepy: asyncio.Event
) -> None:
    waiting = asyncio.ensure_future(client.get(SLOW))
    await asyncio.sleep(1)
    stopped = asyncio.ensure_future(registry.jobs.drain(5))
    await asyncio.sleep(0)

    refused = await client.get("/v2/hello/manifests/latest")
    sleepy.set()
    await stopped

    assert_error(refused, 503, "UNAVAILABLE")
    assert "retry-after" in refused.headers
    assert (await waiting).status_code == 200
