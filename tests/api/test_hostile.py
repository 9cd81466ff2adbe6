"""Two thousand requests that are none: the server goes on serving, its log stays readable."""

import logging
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from app.state import Patience
from tests.api.registry import new_registry
from tests.served import served

REQUESTS = 2000
SEED = 20220

DIGEST = b"sha256:" + b"0" * 64
VALID = (
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/hello/manifests/latest HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"HEAD /v2/hello/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/hello/blobs/" + DIGEST + b" HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n",
    b"GET /v2/hello/tags/list?n=1&last=a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v2/hello/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /v2/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET /builds?image=x HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n",
)
BROKEN = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 200,  # a TLS ClientHello
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /v2/\r\n\r\n",
    b"GET http://elsewhere/v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/?\xff=%ff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/hello/tags/list?last=%ff%00&n=%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    b"GET /v2/" + b"a/" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: x\r\nAccept: \xff\x01\r\nUser-Agent: \x80\r\n\r\n",
    b"\r\n\r\n",
    b"\0" * 64,
)


PRINTABLE = bytes(range(0x21, 0x7F))


def requests() -> Iterator[bytes]:
    """What is broken on purpose first, then valid and broken ones with random damage."""
    yield from BROKEN
    chance = random.Random(SEED)
    for number in range(REQUESTS - len(BROKEN)):
        request = bytearray(chance.choice(VALID if number % 4 else VALID + BROKEN))
        # Damage that is still text reaches the routes more often than other bytes do.
        alphabet = PRINTABLE if number % 3 else bytes(range(256))
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(request) + 1)
            match chance.randrange(4):
                case 0:
                    request[at : at + 1] = chance.choices(alphabet)
                case 1:
                    request[at:at] = chance.choices(alphabet, k=chance.randrange(1, 9))
                case 2:
                    del request[at : at + chance.randrange(1, 9)]
                case _:
                    request += chance.choice(VALID)
        if number % 5 == 0:
            del request[chance.randrange(len(request) + 1) :]
        yield bytes(request)


def send(address: tuple[str, int], request: bytes) -> bytes:
    """Say it, hang up, hear what comes: the first line of the answer, if there is one."""
    with socket.create_connection(address, timeout=10) as connection:
        answer = b""
        with suppress(ConnectionError):
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.partition(b"\r\n")[0]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, log: list[str]) -> Iterator[list[str]]:
    """The log as it would be written: uvicorn's and asyncio's with ours."""
    with caplog.at_level(logging.INFO):
        yield log
    # Nothing of a client's words may begin a line of its own.
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_malformed_requests_leave_the_server_serving_and_its_log_free_of_tracebacks(
    caplog: pytest.LogCaptureFixture, logged: list[str]
) -> None:
    app = new_registry(Patience(hop_seconds=0.05, hops=2, hold_seconds=0.05)).app
    with served(app) as url:
        host, port = url.removeprefix("http://").split(":")
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda r: send((host, int(port)), r), requests()))

        assert httpx.get(f"{url}/v2/hello/manifests/latest").status_code == 200

    statuses = [int(line.split()[1]) for line in answers if line]
    assert len(answers) == REQUESTS
    assert {status // 100 for status in statuses} <= {2, 3, 4}
    assert len(statuses) > REQUESTS / 2
    assert [
        record for record in caplog.records if record.exc_info or record.levelname == "ERROR"
    ] == []
    assert [line for line in logged if "Traceback" in line or "ERROR" in line] == []


def test_a_tls_hello_is_answered_in_plain_http_so_that_clients_fall_back() -> None:
    app = new_registry(Patience(hop_seconds=1, hops=1, hold_seconds=1)).app
    with served(app) as url:
        host, port = url.removeprefix("http://").split(":")

        assert send((host, int(port)), BROKEN[0]).startswith(b"HTTP/1.1 400")


def test_garbage_behind_requests_under_way_is_no_fault_of_ours(
    caplog: pytest.LogCaptureFixture, log: list[str]
) -> None:
    app = new_registry(Patience(hop_seconds=0.05, hops=2, hold_seconds=0.05)).app
    with served(app) as url:
        host, port = url.removeprefix("http://").split(":")
        for number in range(20):
            request = f"GET /v2/typo{number}/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n"
            send((host, int(port)), request.encode() + VALID[0] + b"\0garbage\r\n\r\n")

    assert [line for line in log if "Traceback" in line or "ERROR" in line] == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
