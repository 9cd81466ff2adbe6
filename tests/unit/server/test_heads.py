"""What a client may cost before it has asked for anything."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from fastapi import FastAPI

from app.heads import BoundedProtocol
from tests.served import served


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    app = FastAPI()

    @app.post("/")
    async def root() -> str:
        return "fine"

    with served(app) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            yield client


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


@pytest.mark.parametrize(
    ("begin", "go_on"),
    [
        (b"GET / HTTP/1.1\r\nx: ", b"a" * 8000),
        (b"GET / HTTP/1.1\r\n", b"x: a\r\n" * 1000),
        (b"GET /", b"a" * 8000),
    ],
    ids=["one header", "many headers", "path"],
)
def test_a_head_without_end_is_refused(client: socket.socket, begin: bytes, go_on: bytes) -> None:
    client.sendall(begin)
    sent = 0
    while not select.select([client], [], [], 0.02)[0]:
        client.sendall(go_on)
        sent += len(go_on)
        assert sent < 1 << 20

    assert read_all(client).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_body_is_no_head(client: socket.socket) -> None:
    client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n")
    client.sendall(b"a" * 200_000)
    assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")

    # And many requests are not one large head.
    for _ in range(300):
        client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nx: %s\r\n\r\n" % (b"a" * 500))
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\n"], ids=["nothing", "half a head"])
def test_a_head_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, begin: bytes
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.4)
    client: socket.socket = request.getfixturevalue("client")
    begun = time.monotonic()

    client.sendall(begin)
    while not select.select([client], [], [], 0.05)[0]:
        client.sendall(b"x: a\r\n" if begin else b"")
        assert time.monotonic() - begun < 3

    with suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_an_answer_may_take_longer_than_a_head(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)
    client: socket.socket = request.getfixturevalue("client")

    client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    time.sleep(0.5)  # idle between two requests: that is for keep-alive to decide
    client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n")

    assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
