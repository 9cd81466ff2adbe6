"""A stop signal: what runs ends well or is ended cleanly, and whoever waits is told."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from app.state import Patience
from tests.api.registry import Registry, new_registry
from tests.api.shape import assert_error
from tests.served import served

PATIENCE = Patience(hop_seconds=20, hops=9, hold_seconds=20)


def stop_while_pulling(registry: Registry, *, drain_seconds: float) -> httpx.Response:
    """The answer of a client that waits for a build when the server is told to stop."""
    pulled: Future[httpx.Response]
    drain = partial(registry.state.builds.drain, drain_seconds)
    with ThreadPoolExecutor() as threads:
        with served(registry.app, drain_seconds=drain_seconds, on_stop=drain) as address:
            pulled = threads.submit(httpx.get, f"{address}/v2/sleepy/manifests/latest", timeout=30)
            while not registry.images.builds:
                time.sleep(0.01)
        return pulled.result()


def test_a_build_that_ends_in_time_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    registry = new_registry(PATIENCE)
    registry.images.seconds["sleepy"] = 0.5

    response = stop_while_pulling(registry, drain_seconds=10)

    assert response.status_code == 200
    assert not [record for record in caplog.records if record.exc_info]


def test_a_build_that_does_not_is_ended_and_its_waiters_are_told_to_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = new_registry(PATIENCE)
    registry.images.seconds["sleepy"] = 60

    response = stop_while_pulling(registry, drain_seconds=0.5)

    assert_error(response, 503, "UNAVAILABLE")
    assert int(response.headers["retry-after"]) > 0
    assert registry.state.builds.running == ()
    assert not [record for record in caplog.records if record.exc_info]
