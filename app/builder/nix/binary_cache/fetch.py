"""Many small downloads: a connection kept open for each thread, and tries again.

The standard library's client, because thousands of requests a second are a matter of CPU:
httpx spends 2 ms on each, http.client a twentieth of that.
"""

import random
import ssl
import threading
from http import HTTPStatus
from http.client import (  # noqa: TID251  this is the door
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
)
from urllib.parse import SplitResult, urljoin, urlsplit

from app.errors import OperatorError
from app.system.blocking import blocking

# Separate from the global generator, whose sequence others may depend on.
_SPREAD = random.Random()  # noqa: S311  spread, not secret
ATTEMPTS = 6
FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0
_SECONDS = 30
_REDIRECTS = 5
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_MOVED = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": "nixery", "Accept-Encoding": "identity"}


class FetchFailed(OperatorError):
    """One line: which URL, and what is wrong."""


class FetchStopped(Exception):
    """The event that ends all waiting was set."""


class Fetcher:
    """Shared by threads, each with connections of its own, which it closes itself."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._tls = ssl.create_default_context()
        self._own = threading.local()

    @blocking
    def get(self, url: str, size_limit: int) -> bytes | None:
        """The body, or None if there is none (404, 410).

        Busy servers and broken connections are tried again.  Raises FetchFailed, FetchStopped.
        """
        problem = ""
        asked: float | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(_delay(attempt) if asked is None else asked)
            if self._stop.is_set():
                raise FetchStopped
            asked = None
            try:
                response, body = self._follow(url, size_limit)
            except (OSError, HTTPException) as error:
                self.close()
                problem = str(error) or type(error).__name__
                continue
            if response.status == HTTPStatus.OK:
                return body
            if response.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
                return None
            problem = f"the server answers {response.status}"
            if response.status not in _AGAIN:
                break
            asked = _asked_delay(response)
        raise FetchFailed(f"{shown(url)}: {problem}")

    def close(self) -> None:
        """Close this thread's connections."""
        for connection in self._connections().values():
            connection.close()
        self._connections().clear()

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise FetchStopped

    def _follow(self, url: str, size_limit: int) -> tuple[HTTPResponse, bytes]:
        for _ in range(_REDIRECTS + 1):
            parts = urlsplit(url)
            connection = self._connect(parts)
            target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            connection.request("GET", target, headers=_HEADERS)
            response = connection.getresponse()
            body = response.read(size_limit + 1)
            if len(body) > size_limit:
                self.close()
                raise FetchFailed(f"{shown(url)}: more than {size_limit} bytes")
            if response.length:
                raise HTTPException("the connection broke in the middle of the answer")
            response.read()  # the end mark of a chunked body, without which none can follow
            moved = response.headers.get("Location")
            if response.status not in _MOVED or moved is None:
                return response, body
            url = urljoin(url, moved)
        raise FetchFailed(f"{shown(url)}: more than {_REDIRECTS} redirects")

    def _connect(self, parts: SplitResult) -> HTTPConnection:
        connections = self._connections()
        key = (parts.scheme, parts.netloc)
        if key not in connections:
            connections[key] = self._open(parts)
        return connections[key]

    def _open(self, parts: SplitResult) -> HTTPConnection:
        match parts.scheme:
            case "http" if parts.hostname:
                return HTTPConnection(parts.hostname, parts.port, timeout=_SECONDS)
            case "https" if parts.hostname:
                return HTTPSConnection(
                    parts.hostname, parts.port, timeout=_SECONDS, context=self._tls
                )
            case _:
                raise FetchFailed(f"{shown(parts.geturl())}: not an http or https URL")

    def _connections(self) -> dict[tuple[str, str], HTTPConnection]:
        connections: dict[tuple[str, str], HTTPConnection]
        connections = self._own.__dict__.setdefault("connections", {})
        return connections


def shown(url: str) -> str:
    """Without what may be a secret: the user part and the query."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, query="", fragment="").geturl()


def _delay(attempt: int) -> float:
    """Twice as long each time, and never the same for two threads."""
    longest = min(FIRST_DELAY * 2.0 ** (attempt - 1), LONGEST_DELAY)
    return longest * (0.5 + _SPREAD.random() / 2)


def _asked_delay(response: HTTPResponse) -> float | None:
    """Retry-After in seconds; its form with a date is not worth a clock's trust."""
    asked: str = response.getheader("Retry-After", "")
    return min(float(asked), LONGEST_DELAY) if asked.isascii() and asked.isdigit() else None
