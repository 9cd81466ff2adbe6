"""Limits of each connection, with the uvicorn that is known and with one that is not."""

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPResponse

import pytest
import uvicorn
from loguru import logger
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.server import sendfile
from app.server.connection import ConnectionLimits, Connections
from app.server.sendfile import SendfileProtocol
from tests.served import served

pytestmark = pytest.mark.slow

SMALLEST = b"GET / HTTP/1.1\r\n\r\n"


class Peer(asyncio.Transport):
    """The other end of a connection, as far as it is seen from here."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4000), "sockname": ("192.0.2.2", 80)})
        self.reading = True
        self.closed = False
        self.written = b""

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class Slow:
    """An application that responds to one request for each call of ``answer``."""

    def __init__(self) -> None:
        self.begun = 0
        self._may = asyncio.Semaphore(0)

    def answer(self, count: int) -> None:
        for _ in range(count):
            self._may.release()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.begun += 1
        await self._may.acquire()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()[:0]})


def connect(
    app: Slow, protocol: type[HttpToolsProtocol] = SendfileProtocol
) -> tuple[asyncio.Protocol, Peer]:
    connections = Connections(protocol, ConnectionLimits())
    config = uvicorn.Config(
        connections.counting(app),
        log_config=None,
        proxy_headers=False,
    )
    config.load()
    state = uvicorn.Server(config).server_state
    connection = connections(config=config, server_state=state, app_state={})
    peer = Peer()
    connection.connection_made(peer)
    return connection, peer


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def parsed(peer: Peer, connection: asyncio.Protocol) -> int:
    """Requests that uvicorn knows of and that are not answered."""
    behind = connection._protocol  # type: ignore[attr-defined]
    assert isinstance(behind, HttpToolsProtocol)
    return len(behind.pipeline) + 1


@pytest.mark.parametrize("protocol", [SendfileProtocol, HttpToolsProtocol])
async def test_at_most_about_ten_pipelined_requests_are_parsed(
    protocol: type[HttpToolsProtocol],
) -> None:
    app = Slow()
    connection, peer = connect(app, protocol)

    connection.data_received(SMALLEST * 10_000)
    await settle()

    assert app.begun == 1
    assert parsed(peer, connection) <= 11
    assert not peer.reading
    connection.connection_lost(None)


async def test_all_pipelined_requests_get_a_response() -> None:
    app = Slow()
    connection, peer = connect(app)
    most = 0

    connection.data_received(SMALLEST * 300 + SMALLEST[:7])
    for _ in range(300):
        app.answer(1)
        await settle()
        most = max(most, parsed(peer, connection))

    assert peer.written.count(b"HTTP/1.1 204") == 300
    assert most <= 11
    assert peer.reading
    connection.data_received(SMALLEST[7:])
    app.answer(1)
    await settle()
    assert peer.written.count(b"HTTP/1.1 204") == 301
    connection.connection_lost(None)


async def test_the_protocol_behind_cannot_resume_reading_while_bytes_are_held() -> None:
    connection, peer = connect(Slow())
    connection.data_received(SMALLEST * 1000)

    connection._protocol.transport.resume_reading()  # type: ignore[attr-defined]

    assert not peer.reading
    connection.connection_lost(None)


async def test_a_request_after_one_to_upgrade_gets_a_response() -> None:
    app = Slow()
    connection, peer = connect(app)
    upgrade = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"

    connection.data_received(upgrade + SMALLEST)
    app.answer(2)
    await settle()

    assert peer.written.count(b"HTTP/1.1 204") == 2
    connection.connection_lost(None)


async def test_an_error_is_not_written_into_another_response() -> None:
    connection, peer = connect(Slow())

    connection.data_received(SMALLEST + b"nonsense\r\n\r\n" * 20)
    await settle()

    assert peer.closed
    assert peer.written == b""
    connection.connection_lost(None)


class Application:
    """Responds with many bytes; ``left`` is set once the client does not take them."""

    def __init__(self) -> None:
        self.left = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            message = {"type": "http.response.body", "body": bytes(100_000), "more_body": True}
            await send(message)
        await send({"type": "http.response.body", "body": b""})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


@pytest.fixture(params=["no start", "other arguments", "other state", "moved", "known"])
def warnings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """What is logged at a start with a uvicorn that has changed inside."""

    class Protocol(HttpToolsProtocol):
        def _start_asgi_task(self, cycle: object) -> None:  # type: ignore[override]  # the point
            raise NotImplementedError

    class Cycle:
        def __init__(self) -> None:
            self.transport = None

    change: str = request.param
    if change == "no start":
        monkeypatch.setattr(sendfile, "HttpToolsProtocol", object)
    elif change == "other arguments":
        monkeypatch.setattr(sendfile, "HttpToolsProtocol", Protocol)
    elif change == "other state":
        monkeypatch.setattr(sendfile, "RequestResponseCycle", Cycle)
    elif change == "moved":
        monkeypatch.setitem(sys.modules, "app.server.sendfile", None)
    logged: list[str] = []
    sink = logger.add(lambda message: logged.append(str(message)), level="WARNING")
    yield logged
    logger.remove(sink)
    lost = [text for text in logged if "without sendfile" in text]
    assert len(lost) == (0 if change == "known" else 1)


def test_a_changed_uvicorn_keeps_the_limit_on_heads(warnings: list[str]) -> None:
    with served(Application()) as address, client_of(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * (70 << 10))
        response = HTTPResponse(client)
        response.begin()

        assert response.status == 400


def test_a_changed_uvicorn_keeps_the_limit_on_late_heads(warnings: list[str]) -> None:
    limits = ConnectionLimits(head_seconds=0.2)
    with (
        served(Application(), limits=limits) as address,
        client_of(address) as client,
        suppress(ConnectionError),
    ):
        client.sendall(b"GET / HTTP/1.1\r\n")

        assert client.recv(1) == b""


def test_a_changed_uvicorn_keeps_the_limit_on_slow_readers(warnings: list[str]) -> None:
    app = Application()
    limits = ConnectionLimits(stall_seconds=0.2)
    with served(app, limits=limits) as address, client_of(address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")

        assert app.left.wait(300)
        with suppress(ConnectionError):
            assert sum(map(len, iter(lambda: client.recv(1 << 20), b""))) < 40_000_000


def client_of(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.settimeout(300)
    client.connect((host, int(port)))
    return client
