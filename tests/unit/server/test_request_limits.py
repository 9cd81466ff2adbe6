"""What a client may cost before it has asked for anything."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse

import pytest
from fastapi import FastAPI, Request

from app.server.connection import ConnectionLimits
from tests.served import served

pytestmark = pytest.mark.slow


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def root() -> str:
        return "fine"

    @app.post("/read")
    async def read(request: Request) -> str:
        return f"{len(await request.body())} bytes"

    return app


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(application()) as address:
        yield address.removeprefix("http://")


@contextmanager
def strict(head_seconds: float) -> Iterator[str]:
    """The address of a server that waits so long for a head."""
    limits = ConnectionLimits(head_seconds=head_seconds)
    with served(application(), limits=limits) as address:
        yield address.removeprefix("http://")


def connect(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=300)


def read_all(client: socket.socket) -> bytes:
    """Return what the server sent, also if it closed before it had read all."""
    received = b""
    with suppress(ConnectionError):
        while piece := client.recv(1 << 16):
            received += piece
    return received


@pytest.mark.parametrize(
    ("begin", "go_on"),
    [
        (b"GET / HTTP/1.1\r\nx: ", b"a" * 8000),
        (b"GET / HTTP/1.1\r\n", b"x: a\r\n" * 1000),
        (b"GET /", b"a" * 8000),
    ],
    ids=["one header", "many headers", "path"],
)
def test_an_endless_head_is_refused(address: str, begin: bytes, go_on: bytes) -> None:
    with connect(address) as client:
        client.sendall(begin)
        sent = 0
        while not select.select([client], [], [], 0.02)[0]:
            client.sendall(go_on)
            sent += len(go_on)
            assert sent < 1 << 20
        answer = read_all(client)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_long_address_is_refused_and_a_long_header_is_not(address: str) -> None:
    with connect(address) as client:
        client.sendall(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"address of the request is too long" in read_all(client)
    with connect(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\nx: " + b"a" * 9000 + b"\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 405")


def test_a_head_with_very_many_headers_is_refused(address: str) -> None:
    with connect(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\n" + b"x: a\r\n" * 250)
        answer = read_all(client)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"too many headers" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2/\xc3\xa9/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["path", "query", "length", "nonsense"],
)
def test_a_malformed_request_gets_the_error_of_a_registry(address: str, head: bytes) -> None:
    with connect(address) as client:
        client.sendall(head)
        response = HTTPResponse(client)
        response.begin()
        body = response.read()

    assert response.status == 400
    assert response.getheader("content-type") == "application/json"
    assert response.getheader("connection") == "close"
    assert response.getheader("docker-distribution-api-version") == "registry/2.0"
    assert response.getheader("date")
    [error] = json.loads(body)["errors"]
    assert error == {
        "code": "UNSUPPORTED",
        "message": "Invalid HTTP request received.",
        "detail": {},
    }


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "go_on"),
    [
        (b"0\r\n", b"x: a\r\n" * 1000),
        (b"0\r\nx: ", b"a" * 8000),
        (b"1;x=", b"a" * 8000),
    ],
    ids=["many trailers", "one trailer", "chunk extension"],
)
def test_endless_trailers_are_refused(address: str, begin: bytes, go_on: bytes) -> None:
    sent = 0
    with connect(address) as client:
        client.sendall(CHUNKED + begin)
        with suppress(ConnectionError):
            while sent < 64 << 20:
                client.sendall(go_on)
                sent += len(go_on)

    assert sent < 8 << 20  # the kernel's buffers


def test_trailers_are_accepted(address: str) -> None:
    with connect(address) as client:
        client.sendall(CHUNKED + b"1\r\na\r\n0\r\nx: a\r\n\r\n")
        response = HTTPResponse(client)
        response.begin()

        assert response.read() == b'"fine"'


@pytest.mark.parametrize("begin", [b"", b"0\r\n"], ids=["body", "trailers"])
def test_an_incomplete_request_times_out(begin: bytes) -> None:
    with strict(0.4) as address, connect(address) as client, suppress(ConnectionError):
        client.sendall(CHUNKED + begin)
        while client.recv(1 << 16):
            pass


def test_a_body_sent_byte_by_byte_times_out() -> None:
    begun = time.monotonic()

    with strict(0.4) as address, connect(address) as client, suppress(ConnectionError):
        client.sendall(CHUNKED.replace(b"/", b"/read", 1))
        while not is_readable(client):
            assert time.monotonic() - begun < 300
            client.sendall(b"1\r\na\r\n")


def is_readable(client: socket.socket) -> bool:
    """Wait a moment for a response or the end of the connection."""
    readable, _, _ = select.select([client], [], [], 0.05)
    return bool(readable)


def post(connection: HTTPConnection, body: bytes, padding: str) -> bytes:
    connection.request("POST", "/", body, {"x": padding})
    return connection.getresponse().read()


def test_bodies_and_many_requests_do_not_count_as_a_head(address: str) -> None:
    with closing(HTTPConnection(address, timeout=300)) as connection:
        assert post(connection, b"a" * 200_000, "") == b'"fine"'
        for _ in range(200):
            assert post(connection, b"", "a" * 500) == b'"fine"'


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\n"], ids=["nothing", "half a head"])
def test_a_missing_head_times_out(begin: bytes) -> None:
    begun = time.monotonic()

    with strict(0.4) as address, connect(address) as client, suppress(ConnectionError):
        client.sendall(begin)
        while not select.select([client], [], [], 0.05)[0]:
            client.sendall(b"x: a\r\n" if begin else b"")
            assert time.monotonic() - begun < 300
        assert client.recv(1) == b""


def test_an_idle_connection_does_not_time_out() -> None:
    with strict(0.4) as address, closing(HTTPConnection(address, timeout=300)) as connection:
        assert post(connection, b"", "") == b'"fine"'
        own = connection.sock.getsockname()
        with connect(address) as silent:  # times out after the other would have
            assert silent.recv(1) == b""
        assert post(connection, b"", "") == b'"fine"'

        assert connection.sock.getsockname() == own
