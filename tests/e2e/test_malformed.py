"""Two thousand requests that are none, to the whole server with an image that Nix built."""

import json

import pytest

from tests.e2e.server import ServerFactory
from tests.malformed import REQUESTS, statuses

pytestmark = pytest.mark.e2e

NAME = "hello"  # which most of the requests are about


def test_malformed_requests_leave_the_server_serving_and_its_log_free_of_errors(
    new_server: ServerFactory,
) -> None:
    server = new_server(NIXERY_REDIRECT_SECONDS="1")
    digest = server.digest(NAME)

    answered = statuses(server.url)

    assert {status // 100 for status in answered} <= {2, 3, 4}
    assert len(answered) > REQUESTS / 2
    assert server.digest(NAME) == digest
    assert server.get("/readyz").status_code == 200
    lines = server.complete_log().splitlines()
    # Nothing of a client's words may begin a line of its own.
    levels = {json.loads(line)["level"] for line in lines}
    assert levels <= {"debug", "info", "warning"}
    assert [line for line in lines if "Traceback" in line or "exception" in json.loads(line)] == []
