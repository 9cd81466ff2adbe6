"""Requests in odd forms, byte by byte: the direct routes respond as the framework's do."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy

import pytest

from app.routers.direct import Direct
from app.state import WaitPolicy
from tests.api.registry import new_registry, shared_application, with_services
from tests.served import served

PATHS = ("/v2/", "/healthz", "/v2/hello/manifests/latest", "/v2/hello/blobs/BLOB", "/v2/x")
CLOSE = b"Host: x\r\nConnection: close\r\n"
CHUNKED = CLOSE + b"Transfer-Encoding: chunked\r\n"


def forms(path: bytes) -> Iterator[bytes]:
    line = b"GET " + path + b" HTTP/1.1\r\n"
    yield b"GET " + path + b" HTTP/1.1\nHost: x\nConnection: close\n\n"
    yield line + CLOSE + b"X: a\r\n b\r\n\r\n"
    yield line + CLOSE + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab"
    yield line + CLOSE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"
    yield line + CLOSE + b"Content-Length: +2\r\n\r\nab"
    yield line + CLOSE + b"Content-Length: 99999999999999999999999\r\n\r\nab"
    yield line + CHUNKED + b'\r\n2;a="b"\r\nab\r\n0\r\nX: a\r\n\r\n'
    yield line + CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n"
    yield line + CLOSE + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
    yield line + CLOSE + b"Host: y\r\n\r\n"
    yield line + b"Connection: close\r\n\r\n"
    yield b"GET http://elsewhere" + path + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"
    yield b"GET http://u:p@x" + path + b"?a#f HTTP/1.1\r\n" + CLOSE + b"\r\n"
    yield b"GET " + path + b" HTTP/1.0\r\n\r\n"
    yield b"GET " + path + b" HTTP/2.0\r\n\r\n"
    yield b"get " + path + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"
    yield b"HEAD " + path + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"
    yield b"POST " + path + b" HTTP/1.1\r\n" + CLOSE + b"Content-Length: 3\r\n\r\nabc"
    for end in (b"?" + b"a" * 7000, b"?" + b"a&" * 3500, b"?n=%00&last=%ff", b"?n=1&n=2", b"#f"):
        yield b"GET " + path + end + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"
    for end in (b"\0", b"%00", b"%2f", b"%3a", b"\xc3\xa4", b"%c3%a4%ff", b"/../x", b"//", b"\\"):
        yield b"GET " + path + end + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"
    yield b"GET /" + path + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"
    for header in (
        b"X: a\0b",
        b"X: a\rb",
        b"without a colon",
        b": without a name",
        b"Accept: application/json;q=nan, */*;q=1e999, ;;;q=, text/html;q=-1",
        b"Accept: " + b"a/b;q=0.5," * 5000,
        b"Range: bytes=" + b"0-0," * 5000 + b"1-1",
        b"Range: bytes=0-" + b"9" * 6000,
        "Range: bytes=\u0663-\u0665".encode(),
        b"If-None-Match: " + b'"a",' * 10000,
        b'If-None-Match: "' + b"a" * 30000,
        b"X-Forwarded-For: " + b"1.2.3.4," * 5000,
        b'Forwarded: for="[::"',
        b"Expect: 100-continue",
        b"User-Agent: docker/29.7.0 " + b"containerd/2.3.3 " * 3000,
        b"User-Agent: containerd/" + b"9" * 5000,
    ):
        yield line + CLOSE + header + b"\r\n\r\n"


def response_to(url: str, request: bytes) -> bytes:
    """Return what the server sends until it closes the connection, without times and names."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=300) as connection:
        connection.sendall(request)
        received = b""
        with suppress(ConnectionError):
            while chunk := connection.recv(65536):
                received += chunk
    return re.sub(rb"(?im)^(?:date|x-request-id):.*\r\n", b"", received)


@pytest.mark.slow
def test_direct_routes_respond_to_odd_requests_as_the_router_does() -> None:
    registry = new_registry(WaitPolicy(redirect_seconds=0.05, redirects=2, hold_seconds=5))
    routes = copy(shared_application())
    routes.user_middleware = [
        one for one in routes.user_middleware if getattr(one.cls, "__name__", "") != Direct.__name__
    ]
    routes.middleware_stack = routes.build_middleware_stack()
    with served(registry.app) as direct, served(with_services(routes, registry.state)) as routed:
        blob = _layer(direct)
        for path in PATHS:
            requests = list(forms(path.replace("BLOB", blob).encode()))
            with ThreadPoolExecutor(4) as threads:
                first = list(threads.map(lambda request: response_to(direct, request), requests))
                second = list(threads.map(lambda request: response_to(routed, request), requests))
            for request, one, other in zip(requests, first, second, strict=True):
                assert one == other, request[:200]
                assert re.match(rb"HTTP/1\.1 [1234]\d\d ", one), (request[:200], one[:200])


def _layer(url: str) -> str:
    """Return the digest of a layer of a built image."""
    request = b"GET /v2/hello/manifests/latest HTTP/1.1\r\n" + CLOSE + b"\r\n"
    while not (received := response_to(url, request)).startswith(b"HTTP/1.1 200"):
        assert received.startswith(b"HTTP/1.1 307"), received
    found = re.search(r'"layers":.*?"(sha256:\w+)"', received.decode(), re.DOTALL)
    assert found is not None, received
    return found[1]
