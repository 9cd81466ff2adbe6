"""The kernel sends files if possible; the bytes are the same without it."""

import errno
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.oci import Digest
from app.server import sendfile
from app.server.sendfile import EXTENSION, SendfileProtocol
from tests.waiting import wait_until_full

pytestmark = pytest.mark.slow

BODY = os.urandom(2_000_000)
# More than a socket takes at once, so that the file has to wait for it.
FILLER = os.urandom(12_000_000)
WHOLE = BODY[:1_500_000] + FILLER + BODY[1_500_000:]


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(BODY)
    return path


class Application:
    """Sends the blob in two parts around bytes of its own."""

    def __init__(self, blob: Path) -> None:
        self._blob = blob
        self.offered: list[bool] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.offered.append(EXTENSION in scope.get("extensions", {}))
        length = str(len(WHOLE)).encode()
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with self._blob.open("rb") as file:
            if self.offered[-1]:
                await send(part(file, 0, 1_500_000, more=True))
                await send({"type": "http.response.body", "body": FILLER, "more_body": True})
                await send(part(file, 1_500_000, 500_000, more=False))
            else:
                await send({"type": "http.response.body", "body": WHOLE})


def part(file: object, offset: int, count: int, *, more: bool) -> dict[str, object]:
    return {"type": EXTENSION, "file": file, "offset": offset, "count": count, "more_body": more}


@contextmanager
def running(app: object, stall_seconds: float = 600, **options: object) -> Iterator[int]:
    """Run uvicorn with our protocol and options of our choice; yield the port."""
    protocol = partial(SendfileProtocol, stall_seconds=stall_seconds)
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # any ASGI application
        http=protocol,  # type: ignore[arg-type]  # uvicorn only calls it
        lifespan="off",
        log_config=None,
        **options,  # type: ignore[arg-type]  # options of several types
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def fetch(client: socket.socket) -> bytes:
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    wait_until_full(client)
    return b"".join(iter(lambda: client.recv(1 << 16), b"")).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_files_and_bytes_make_one_body(blob: Path, loop: str) -> None:
    app = Application(blob)

    with running(app, loop=loop) as port:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as client:
                assert Digest.of(fetch(client)) == Digest.of(WHOLE)

    assert app.offered == [True] * 3


def test_without_a_descriptor_for_it_the_body_is_the_same(
    blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    app = Application(blob)
    with running(app) as port, socket.create_connection(("127.0.0.1", port)) as client:
        monkeypatch.setattr(os, "dup", none)

        assert Digest.of(fetch(client)) == Digest.of(WHOLE)

    assert app.offered == [True]


def test_tls_connections_do_not_offer_sendfile(blob: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run(
        [*make, "-keyout", key, "-out", certificate, "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )
    app = Application(blob)
    context = ssl.create_default_context(cafile=certificate)

    with (
        running(app, ssl_keyfile=key, ssl_certfile=certificate) as port,
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        body = fetch(client)

    assert app.offered == [False]
    assert Digest.of(body) == Digest.of(WHOLE)


class Huge:
    """Send more than the buffers of a socket hold; ``given_up`` is set when the client is gone."""

    def __init__(self, blob: Path) -> None:
        os.truncate(blob, 100_000_000)
        self._blob = blob
        self.given_up = threading.Event()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"100000000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with self._blob.open("rb") as file:
            await send(part(file, 0, 100_000_000, more=False))
        self.given_up.set()


def test_a_client_that_reads_nothing_is_disconnected(blob: Path) -> None:
    app = Huge(blob)

    with (
        running(app, stall_seconds=0.3) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert app.given_up.wait(300)
        taken = sum(map(len, iter(lambda: client.recv(1 << 20), b"")))

    assert 0 < taken < 100_000_000


@pytest.mark.parametrize("full", [False, True])  # while a thread sends, and between two turns
def test_a_client_that_hangs_up_without_closing_is_noticed(blob: Path, *, full: bool) -> None:
    app = Huge(blob)

    with running(app) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        client.recv(1000)
        if full:
            wait_until_full(client)
        client.shutdown(socket.SHUT_WR)
        assert app.given_up.wait(300)


def test_no_more_than_the_content_length_is_sent(blob: Path) -> None:
    async def liar(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with blob.open("rb") as file:
            await send(part(file, 0, 11, more=False))

    with running(liar) as port, socket.create_connection(("127.0.0.1", port)) as client:
        assert fetch(client) == b""


def test_this_uvicorn_is_supported() -> None:
    assert sendfile.is_supported()
