"""Clients at a server that redirects to invalid addresses."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from app.system.http_clients import async_client, client
from tests.serving import serving

INVALID = ["http://127.0.0.1:99999/", "//[::1", "http://xn--/", "http://a..b/", "ftp://host/"]


class Handler(BaseHTTPRequestHandler):
    """Redirects to the query; without one, sends an empty page."""

    def do_GET(self) -> None:
        target = self.path.partition("?")[2]
        self.send_response(302 if target else 200)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("target", INVALID)
async def test_redirect_to_an_invalid_address_is_an_http_error(url: str, target: str) -> None:
    async with async_client(seconds=60) as http:
        with pytest.raises(httpx.HTTPError, match="redirect is invalid"):
            await http.get(f"{url}?{target}")


@pytest.mark.parametrize("target", INVALID)
def test_blocking_client_raises_the_same_error(url: str, target: str) -> None:
    with client(seconds=60) as http, pytest.raises(httpx.HTTPError, match="redirect is invalid"):
        http.get(f"{url}?{target}")


@pytest.mark.parametrize("target", ["/", "/a b", "//127.0.0.1:{port}/"])
async def test_redirects_to_valid_addresses_are_followed(url: str, target: str) -> None:
    port = httpx.URL(url).port
    async with async_client(seconds=60) as http:
        response = await http.get(f"{url}?{target.format(port=port)}")

    assert response.status_code == httpx.codes.OK
