"""Requests that are none: the server goes on serving, its log stays readable."""

import logging
from collections.abc import Iterator

import httpx
import pytest

from app.state import WaitPolicy
from tests.api.registry import new_registry
from tests.malformed import BROKEN, REQUESTS, VALID, send, statuses
from tests.served import served


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, log: list[str]) -> Iterator[list[str]]:
    """The log as it would be written: uvicorn's and asyncio's with ours."""
    with caplog.at_level(logging.INFO):
        yield log
    # Nothing of a client's words may begin a line of its own.
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.slow
def test_malformed_requests_leave_the_server_serving_and_its_log_free_of_tracebacks(
    caplog: pytest.LogCaptureFixture, logged: list[str]
) -> None:
    app = new_registry(WaitPolicy(redirect_seconds=0.05, redirects=2, hold_seconds=5)).app
    with served(app) as url:
        answered = statuses(url)

        # Other outcomes may have pushed this one out, and it is made again.
        image = httpx.get(f"{url}/v2/hello/manifests/latest", follow_redirects=True, timeout=300)
        assert image.status_code == 200

    assert {status // 100 for status in answered} <= {2, 3, 4}
    assert len(answered) > REQUESTS / 2
    assert [
        record for record in caplog.records if record.exc_info or record.levelname == "ERROR"
    ] == []
    assert [line for line in logged if "Traceback" in line or "ERROR" in line] == []


@pytest.mark.slow
def test_a_tls_greeting_gets_a_plain_response_so_that_clients_fall_back() -> None:
    app = new_registry(WaitPolicy(redirect_seconds=1, redirects=1, hold_seconds=1)).app
    with served(app) as url:
        host, port = url.removeprefix("http://").split(":")

        assert send((host, int(port)), BROKEN[0]).startswith(b"HTTP/1.1 400")


@pytest.mark.slow
def test_garbage_after_requests_under_way_is_not_logged_as_an_error(
    caplog: pytest.LogCaptureFixture, log: list[str]
) -> None:
    app = new_registry(WaitPolicy(redirect_seconds=0.05, redirects=2, hold_seconds=0.05)).app
    with served(app) as url:
        host, port = url.removeprefix("http://").split(":")
        for number in range(20):
            request = f"GET /v2/typo{number}/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n"
            send((host, int(port)), request.encode() + VALID[0] + b"\0garbage\r\n\r\n")

    assert [line for line in log if "Traceback" in line or "ERROR" in line] == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
