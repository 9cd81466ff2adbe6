"""Clients that ask and do not read."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.types import Receive, Scope, Send

from app.server.connection import ConnectionLimits
from tests.served import served
from tests.waiting import LIMITS, wait_until

pytestmark = pytest.mark.slow

BODY = bytes(40_000_000)


class Application:
    """Writes in pieces, as blobs are where the kernel does not send them."""

    def __init__(self, *, piece: int) -> None:
        self.left = False
        self._piece = piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        length = str(len(BODY)).encode()
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for start in range(0, len(BODY), self._piece):
            piece = BODY[start : start + self._piece]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left = True


@contextmanager
def asking(app: Application, stall_seconds: float) -> Iterator[socket.socket]:
    limits = ConnectionLimits(stall_seconds=stall_seconds)
    with served(app, sendfile=False, limits=limits) as address, socket.socket() as client:
        host, port = address.removeprefix("http://").split(":")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.settimeout(300)
        client.connect((host, int(port)))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        yield client


def test_a_client_that_reads_nothing_is_disconnected() -> None:
    app = Application(piece=250_000)

    with asking(app, stall_seconds=0.2) as client:
        wait_until(lambda: app.left)
        taken = sum(map(len, iter(lambda: client.recv(1 << 20), b"")))

    assert taken < len(BODY)


def read_slowly(stall_seconds: float) -> int:
    """Return how many bytes a client gets that reads for longer than it may pause."""
    with asking(Application(piece=len(BODY)), stall_seconds) as client:
        taken = 0
        for step in range(1, 9):
            time.sleep(stall_seconds * 0.3)
            while taken < step * 4_000_000:
                piece = client.recv(1 << 20)
                if not piece:
                    return taken
                taken += len(piece)
        return taken + sum(map(len, iter(lambda: client.recv(1 << 20), b"")))


def test_a_slow_but_steady_client_gets_every_byte() -> None:
    assert any(read_slowly(seconds) > len(BODY) for seconds in LIMITS)
