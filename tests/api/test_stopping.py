"""A stop: builds end or are cancelled, and their clients get a response."""

import asyncio
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from app.oci import Digest
from app.routers.blob_response import blob_response
from app.state import WaitPolicy
from app.storage.base import LocalFile
from tests.api.registry import Registry, new_registry
from tests.api.shape import assert_error
from tests.served import served
from tests.waiting import LIMITS, wait_until

PATIENCE = WaitPolicy(redirect_seconds=20, redirects=9, hold_seconds=20)


def stop_while_pulling(
    registry: Registry, *, drain_seconds: float, user_agent: str = "", hurried: bool = False
) -> httpx.Response:
    """Return the response of a client that waits for a build when the server stops."""
    pulled: Future[httpx.Response]
    drain = registry.jobs.drain
    headers = {"user-agent": user_agent}
    with ThreadPoolExecutor() as threads:
        with served(
            registry.app, drain_seconds=drain_seconds, on_stop=drain, hurried=hurried
        ) as address:
            url = f"{address}/v2/sleepy/manifests/latest"
            pulled = threads.submit(httpx.get, url, headers=headers, timeout=300)
            wait_until(lambda: registry.images.builds)
        return pulled.result()


@pytest.mark.slow
def test_a_build_that_ends_during_the_drain_is_served(caplog: pytest.LogCaptureFixture) -> None:
    registry = new_registry(PATIENCE)
    registry.images.seconds["sleepy"] = 0.5

    response = stop_while_pulling(registry, drain_seconds=300)

    assert response.status_code == 200
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.slow
@pytest.mark.parametrize("redirects", [9, 0])
def test_a_stopping_server_does_not_redirect(redirects: int) -> None:
    statuses = (status_of_stopping(redirects, redirect_seconds) for redirect_seconds in LIMITS)

    assert any(status == 200 for status in statuses)


def status_of_stopping(redirects: int, redirect_seconds: float) -> int:
    """Return the status that a client gets of whom the server would have redirected."""
    registry = new_registry(WaitPolicy(redirect_seconds, redirects, hold_seconds=300))
    registry.images.seconds["sleepy"] = 3 * redirect_seconds

    response = stop_while_pulling(registry, drain_seconds=300, user_agent="containerd/2.3.4")

    return response.status_code


@pytest.mark.slow
def test_a_build_longer_than_the_drain_is_cancelled_and_its_clients_get_503(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = new_registry(PATIENCE)
    registry.images.seconds["sleepy"] = 60

    response = stop_while_pulling(registry, drain_seconds=0.5)

    assert_error(response, 503, "UNAVAILABLE")
    assert int(response.headers["retry-after"]) > 0
    assert registry.jobs.running == ()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.slow
def test_a_second_stop_ends_builds_at_once_and_their_clients_get_503(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = new_registry(PATIENCE)
    registry.images.seconds["sleepy"] = 3600

    response = stop_while_pulling(registry, drain_seconds=3600, hurried=True)

    assert_error(response, 503, "UNAVAILABLE")
    assert registry.jobs.running == ()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.slow
def test_a_response_is_not_cut_off_while_its_work_is_being_ended() -> None:
    app, asked = FastAPI(), threading.Event()
    ended: list[asyncio.Event] = []

    @app.get("/")
    async def wait() -> str:
        ended.append(asyncio.Event())
        asked.set()
        await ended[0].wait()
        return "ended"

    async def end(_: float) -> None:
        # Longer than a response may take once its work has ended.
        await asyncio.sleep(3)
        ended[0].set()

    with ThreadPoolExecutor() as threads:
        with served(app, drain_seconds=0, on_stop=end) as address:
            pulled = threads.submit(httpx.get, address, timeout=300)
            assert asked.wait(300)
        assert pulled.result().json() == "ended"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sendfile", "plain"])
def test_a_download_longer_than_the_drain_is_cut_off_without_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, log: list[str], kind: str
) -> None:
    size = 1 << 30
    with (tmp_path / "blob").open("wb") as file:
        file.truncate(size)
    app = FastAPI()

    @app.get("/")
    async def blob(request: Request) -> Response:
        return blob_response(request, Digest.of(b""), LocalFile(tmp_path / "blob", size))

    with (
        socket.socket() as client,
        served(app, sendfile=kind == "sendfile", drain_seconds=0.2) as address,
    ):
        host, port = address.removeprefix("http://").split(":")
        client.connect((host, int(port)))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"

    assert [line for line in log if "cut off 1 connections" in line]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert not [line for line in log if "Traceback" in line or "ERROR" in line]
