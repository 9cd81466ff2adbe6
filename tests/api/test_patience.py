"""Clients with a header limit, scaled down: 1 s stands for containerd's 30 s."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from app.state import Patience
from tests.api.registry import Registry, new_registry
from tests.served import served

LIMIT = 1.0
HOP = 0.3
HOPS = 3
SLOW = "/v2/sleepy/manifests/latest"
CONTAINERD = "containerd/2.3.4+unknown"
PODMAN = "containers/5.39.2"


@pytest.fixture
def registry() -> Registry:
    return new_registry(Patience(hop_seconds=HOP, hops=HOPS, hold_seconds=20))


@pytest.fixture
def address(registry: Registry) -> Iterator[str]:
    with served(registry.app, drain_seconds=1) as address:
        yield address


def resolve(address: str, user_agent: str, limit: float | None, attempts: int) -> httpx.Response:
    """A HEAD as containerd makes it: redirects followed, 429 tried again at once."""
    headers = {"user-agent": user_agent}
    timeout = httpx.Timeout(5, read=limit)
    with httpx.Client(
        base_url=address, headers=headers, timeout=timeout, follow_redirects=True, max_redirects=10
    ) as client:
        for _ in range(attempts - 1):
            response = client.head(SLOW)
            if response.status_code != 429:
                return response
        return client.head(SLOW)


def test_a_build_longer_than_the_header_limit_is_pulled_by_redirects(
    registry: Registry, address: str
) -> None:
    registry.images.seconds["sleepy"] = LIMIT + HOP / 2

    response = resolve(address, CONTAINERD, LIMIT, attempts=1)

    assert response.status_code == 200
    assert len(response.history) >= int(LIMIT / HOP)
    assert len(registry.images.builds) == 1


def test_a_build_longer_than_all_redirects_is_pulled_by_the_clients_own_repeats(
    registry: Registry, address: str
) -> None:
    registry.images.seconds["sleepy"] = (HOPS + 1) * HOP + LIMIT

    response = resolve(address, CONTAINERD, LIMIT, attempts=5)

    assert response.status_code == 200
    assert len(registry.images.builds) == 1


def test_the_limit_of_these_tests_bites_whoever_is_held(registry: Registry, address: str) -> None:
    registry.images.seconds["sleepy"] = 10

    with pytest.raises(httpx.ReadTimeout):
        resolve(address, PODMAN, LIMIT, attempts=1)


def test_a_client_without_a_limit_is_held_until_its_image_is_built(
    registry: Registry, address: str
) -> None:
    registry.images.seconds["sleepy"] = (HOPS + 1) * HOP + LIMIT

    response = resolve(address, PODMAN, None, attempts=1)

    assert response.status_code == 200
    assert len(response.history) == HOPS


def test_a_client_that_hangs_up_ends_its_waiting_and_no_build(
    registry: Registry, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry.images.seconds["sleepy"] = 1
    host, port = address.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET {SLOW}?_w={HOPS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            time.sleep(0.01)

    response = resolve(address, PODMAN, None, attempts=1)

    assert response.status_code == 200
    assert len(registry.images.builds) == 1
    assert not [record for record in caplog.records if record.exc_info]


def test_twenty_impatient_clients_cost_one_build(registry: Registry, address: str) -> None:
    registry.images.seconds["sleepy"] = LIMIT + HOP
    statuses: list[int] = []

    def pull() -> None:
        statuses.append(resolve(address, CONTAINERD, 10, attempts=5).status_code)

    threads = [threading.Thread(target=pull) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 20
    assert len(registry.images.builds) == 1
