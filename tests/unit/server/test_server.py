"""A process that listens, drains and stops."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.server import Server
from tests.served import served

PROGRAM = """
import asyncio, sys
from fastapi import FastAPI
from app.server import Server

app = FastAPI()

@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(float(sys.argv[1]))
    return "done"

server = Server(app, host="127.0.0.1", port=0, drain_seconds=float(sys.argv[2]))
print(server.listen(), flush=True)
server.run()
"""


@contextmanager
def process(answer_seconds: float, drain_seconds: float) -> Iterator[tuple[str, int, int]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(answer_seconds), str(drain_seconds)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout is not None
        host, _, port = running.stdout.readline().strip().removeprefix("http://").partition(":")
        yield host, int(port), running.pid
        running.wait(10)


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_a_stop_waits_for_answers_on_their_way_and_takes_no_new_ones() -> None:
    with (
        process(answer_seconds=0.8, drain_seconds=8) as (host, port, pid),
        socket.create_connection((host, port)) as client,
    ):
        client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port))
        answer = read_all(client)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'"done"')


def test_a_stop_does_not_wait_for_ever() -> None:
    begun = time.monotonic()

    with (
        process(answer_seconds=60, drain_seconds=1) as (host, port, pid),
        socket.create_connection((host, port)) as client,
    ):
        client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        read_all(client)

    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("kind", ["sendfile", "plain"])
def test_a_tls_greeting_is_answered_with_http_so_that_clients_fall_back(kind: str) -> None:
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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_the_address_is_known_before_the_server_runs(host: str) -> None:
    server = Server(FastAPI(), host=host, port=0, drain_seconds=1)

    address = server.listen()

    scheme, _, rest = address.partition("://")
    name, _, port = rest.rpartition(":")
    assert (scheme, name) == ("http", f"[{host}]" if ":" in host else host)
    socket.create_connection((host, int(port))).close()
    assert server.listen() == address
    server.stop()
    server.run()


def test_a_taken_port_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Server(FastAPI(), host="127.0.0.1", port=taken.getsockname()[1], drain_seconds=1).listen()


def test_idle_connections_outlive_those_of_proxies_and_clients() -> None:
    server = Server(FastAPI(), host="127.0.0.1", port=0, drain_seconds=1)

    assert server._config.timeout_keep_alive >= 75
