"""A process that listens, drains and stops."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx
import pytest
import uvloop
from fastapi import FastAPI

from app.server.listening import listen, url_of
from app.server.server import Server
from tests.ownership import start_process
from tests.served import served
from tests.waiting import wait_until

PROGRAM = """
import asyncio, sys
from app.server.listening import listen, url_of
import uvloop
from app.server.server import Server
from app.server.signals import StopSignals

async def app(scope, receive, send) -> None:
    if scope["type"] != "http":
        return
    print("asked", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})

listener = listen("127.0.0.1", 0)
print(url_of(listener), flush=True)
server = Server(app, listener, drain_seconds=float(sys.argv[1]))

async def serve() -> None:
    with StopSignals(server.stop):
        await server.serve()

uvloop.run(serve())
"""


class SlowServer:
    """A process with a request under way; ``answer`` lets it respond to ``client``."""

    def __init__(self, *, drain_seconds: float) -> None:
        self.process: subprocess.Popen[str] = start_process(
            [sys.executable, "-c", PROGRAM, str(drain_seconds)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip().removeprefix("http://")
        host, _, port = address.partition(":")
        self.address = host, int(port)
        self.client = socket.create_connection(self.address, timeout=300)
        self.client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert self.process.stdout.readline() == "asked\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.kill()
        self.process.__exit__(None, None, None)

    def takes_connections(self) -> bool:
        try:
            socket.create_connection(self.address).close()
        except ConnectionRefusedError:
            return False
        return True

    def answer(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("now\n")
        self.process.stdin.flush()


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


@pytest.mark.slow
def test_a_stop_finishes_responses_and_accepts_no_connections() -> None:
    with SlowServer(drain_seconds=60) as server:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.takes_connections())
        server.answer()
        answer = read_all(server.client)
        server.process.wait(300)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"done" in answer


@pytest.mark.slow
def test_a_stop_does_not_wait_forever() -> None:
    with SlowServer(drain_seconds=1) as server:
        server.process.send_signal(signal.SIGTERM)
        answer = read_all(server.client)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 500")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sendfile", "plain"])
def test_a_tls_greeting_gets_a_plain_400_so_that_clients_fall_back(kind: str) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()

    with served(FastAPI(), sendfile=kind == "sendfile") as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(outgoing.read())
            answer = read_all(client)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


def has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.may_skip
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_clients_connect_before_the_server_runs(host: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("UNTESTED, needs IPv6")
    with listen(host, 0) as listener:
        scheme, _, rest = url_of(listener).partition("://")

        name, _, port = rest.rpartition(":")
        assert (scheme, name) == ("http", f"[{host}]" if ":" in host else host)
        socket.create_connection((host, int(port))).close()


def test_a_taken_port_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_server_that_is_stopped_before_it_runs_ends_at_once() -> None:
    server = Server(FastAPI(), listen("127.0.0.1", 0), drain_seconds=60)
    server.stop()

    uvloop.run(server.serve())


def test_idle_connections_outlive_those_of_proxies_and_clients() -> None:
    with listen("127.0.0.1", 0) as listener:
        server = Server(FastAPI(), listener, drain_seconds=1)

    assert server._config.timeout_keep_alive >= 75


@pytest.mark.slow
def test_a_thread_that_computes_gives_way_to_the_event_loop_sooner() -> None:
    intervals = []
    app = FastAPI()
    app.get("/")(lambda: intervals.append(sys.getswitchinterval()))
    before = sys.getswitchinterval()

    with served(app) as address:
        httpx.get(address, timeout=300)

    assert intervals == [pytest.approx(before / 5)]
    assert sys.getswitchinterval() == before
