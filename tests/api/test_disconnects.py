"""Clients that leave before they have sent the whole request."""

from collections.abc import Iterator

import pytest
from loguru import logger
from starlette.types import Message

from tests.api.registry import Registry

pytestmark = pytest.mark.anyio


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """Messages that are logged as errors."""
    found: list[str] = []
    handler = logger.add(found.append, level="ERROR", format="{message}")
    yield found
    logger.remove(handler)


async def test_a_client_that_leaves_before_its_body_is_sent_is_not_an_error(
    registry: Registry, errors: list[str]
) -> None:
    pieces: list[Message] = [
        {"type": "http.request", "body": b"[", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return pieces.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/builds",
        "raw_path": b"/api/builds",
        "query_string": b"",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"registry"), (b"content-type", b"application/json")],
        "app": registry.app,
    }
    await registry.app(scope, receive, send)

    assert not pieces
    assert not sent
    assert not errors
