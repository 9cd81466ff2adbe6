"""Streams of events through the real server: a closed connection, a stop."""

from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from app.state import LiveStreams, WaitPolicy
from tests.api.registry import Registry, new_registry
from tests.served import served
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

PATIENCE = WaitPolicy(redirect_seconds=0.1, redirects=1, hold_seconds=20)


def registry_with_a_build() -> Registry:
    registry = new_registry(PATIENCE)
    registry.change(streams=LiveStreams(limit=1))
    registry.images.seconds["sleepy"] = 60
    return registry


def start(address: str) -> str:
    """Return the address of the events of a build."""
    started = httpx.post(f"{address}/api/builds", json={"image": "sleepy"}, timeout=300)
    return f"{address}{started.headers['location']}/events"


def test_a_closed_connection_frees_its_place() -> None:
    registry = registry_with_a_build()
    with served(registry.app, drain_seconds=0.1, on_stop=registry.jobs.drain) as address:
        events = start(address)
        with httpx.stream("GET", events, timeout=300) as stream:
            lines = stream.iter_lines()  # dropping it would close the connection
            assert next(lines) == "retry: 2000"
            assert httpx.get(events, timeout=300).status_code == 429
        wait_until(lambda: registry.state.streams.admits("127.0.0.1"))
        with httpx.stream("GET", events, timeout=300) as again:
            assert again.status_code == 200


def test_a_stopping_server_ends_a_stream_that_has_all_events() -> None:
    registry = registry_with_a_build()
    followed: Future[httpx.Response]
    with ThreadPoolExecutor() as threads:
        with served(registry.app, drain_seconds=3, on_stop=registry.jobs.drain) as address:
            events = start(address)
            followed = threads.submit(httpx.get, events, timeout=300)
            wait_until(lambda: not registry.state.streams.admits("127.0.0.1"))
        response = followed.result()

    assert response.status_code == 200
    assert "event: state" in response.text
    assert "event: end" not in response.text
