"""Bodies that a server makes large, compresses, or does not end."""

import gzip
import zlib
from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer

import httpx
import pytest

from app.system.http_clients import async_client, client
from tests.serving import serving

TEXT = b"a line of text\n" * 20_000
SPACES = gzip.compress(b" " * (8 << 20))
DEFLATED = zlib.compress(TEXT)
# Redirects to the text, without the body that it announces.
MOVED = (
    b"HTTP/1.1 302 Found\r\nLocation: /text\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\n\r\n"
)


def response(body: bytes, *headers: str) -> bytes:
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


RESPONSES = {
    "/text": response(TEXT),
    "/identity": response(TEXT, "Content-Encoding: identity"),
    "/gzip": response(gzip.compress(TEXT), "Content-Encoding: GZip"),
    "/members": response(
        gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]), "Content-Encoding: x-gzip"
    ),
    "/empty": response(b"", "Content-Encoding: gzip"),
    "/early": response(gzip.compress(TEXT)[:-9], "Content-Encoding: gzip"),
    "/damaged": response(b"no compressed text", "Content-Encoding: gzip"),
    "/spaces": response(SPACES, "Content-Encoding: gzip"),
    "/twice": response(gzip.compress(SPACES), "Content-Encoding: gzip, gzip"),
    "/twice-in-lines": response(
        gzip.compress(SPACES), "Content-Encoding: gzip", "Content-Encoding: gzip"
    ),
    "/deflate": response(DEFLATED, "Content-Encoding: deflate"),
    "/cookie": response(b"", "Set-Cookie: a=b"),
    "/moved": MOVED,
}
EQUAL = ["/text", "/identity", "/gzip", "/members", "/moved"]
REJECTED = {
    "/early": "its compressed response ends early",
    "/damaged": "its response is damaged",
    "/twice": "its response is encoded in an unknown way",
    "/twice-in-lines": "its response is encoded in an unknown way",
    "/deflate": "its response is encoded in an unknown way",
}


class Handler(StreamRequestHandler):
    """Sends a response by path, and waits until the client closes the connection."""

    def handle(self) -> None:
        while request := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            self.wfile.write(RESPONSES[request.split()[1].decode()])


class Server(ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Server(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize("path", EQUAL)
async def test_body_is_what_the_server_sent_before_it_was_compressed(url: str, path: str) -> None:
    async with async_client(seconds=5) as http:
        assert (await http.get(url + path)).content == TEXT
    with client(seconds=5) as blocking:
        assert blocking.get(url + path).content == TEXT


async def test_empty_body_may_claim_to_be_compressed(url: str) -> None:
    async with async_client(seconds=5) as http:
        assert (await http.get(f"{url}/empty")).content == b""


@pytest.mark.parametrize(("path", "why"), REJECTED.items())
async def test_body_in_another_form_is_an_http_error(url: str, path: str, why: str) -> None:
    async with async_client(seconds=5) as http:
        with pytest.raises(httpx.HTTPError, match=why):
            await http.get(url + path)
    with client(seconds=5) as blocking, pytest.raises(httpx.HTTPError, match=why):
        blocking.get(url + path)


@pytest.mark.parametrize("path", ["/text", "/spaces"])
async def test_body_above_the_limit_is_an_http_error(url: str, path: str) -> None:
    async with async_client(seconds=5, most=len(TEXT)) as http:
        assert (await http.get(f"{url}/text")).content == TEXT
    async with async_client(seconds=5, most=len(TEXT) - 1) as http:
        with pytest.raises(httpx.HTTPError, match="its response is too large"):
            await http.get(url + path)


async def test_decompressed_pieces_are_bounded(url: str) -> None:
    async with async_client(seconds=5) as http, http.stream("GET", f"{url}/spaces") as received:
        sizes = [len(piece) async for piece in received.aiter_bytes()]

    assert sum(sizes) == 8 << 20
    assert max(sizes) <= 64 << 10


async def test_cookies_are_not_kept(url: str) -> None:
    async with async_client(seconds=5) as http:
        await http.get(f"{url}/cookie")

        assert not http.cookies.jar
