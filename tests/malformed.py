"""Two thousand requests that are none, and what came back for them."""

import errno
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

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
    """Send it, close for writing, and return the first line of the response, if there is one."""
    with socket.create_connection(address, timeout=300) as connection:
        answer = b""
        with suppress(ConnectionError):
            connection.sendall(request)
            _finish(connection)
            while chunk := connection.recv(65536):
                answer += chunk
        return answer.partition(b"\r\n")[0]


def _finish(connection: socket.socket) -> None:
    """The server may have closed already, and reset what it had not read."""
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


def statuses(url: str) -> list[int]:
    """All of them sent, eight at a time; one status for each that was answered."""
    host, port = url.removeprefix("http://").split(":")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda request: send((host, int(port)), request), requests()))
    assert len(answers) == REQUESTS
    return [int(line.split()[1]) for line in answers if line]
