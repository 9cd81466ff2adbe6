"""A registry that takes pushes; tests/contract/test_pushing.py holds it to a real one."""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from app.oci import Digest
from tests.serving import serving

USER, PASSWORD = "joe", "hunter2"
IDENTITY = "identity"
TOKEN = "granted"


class FakeRegistry(ThreadingHTTPServer):
    """A registry that accepts pushes.

    ``authentication`` is "", basic or bearer.  ``faults`` are the first responses, one for each
    request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authentication = ""
        self.realm = f"{self.url}/token"
        self.faults: list[tuple[int, Mapping[str, str], bytes]] = []
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.requests: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeRegistry

    def do_HEAD(self) -> None:
        if self._admitted():
            known = self.path.rpartition("/")[2] in self.server.blobs
            self._answer(200 if known else 404)

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            fits = self.headers["authorization"] == _basic()
            self._answer(200 if fits else 401, json.dumps({"token": TOKEN}).encode())
        elif self._admitted():
            kind, body = self.server.manifests[self.path.rpartition("/")[2]]
            self._answer(200, body, {"Content-Type": kind})

    def do_POST(self) -> None:
        body = self._body()
        if self.path.startswith("/token"):
            fits = parse_qs(body.decode())["refresh_token"] == [IDENTITY]
            self._answer(200 if fits else 401, json.dumps({"access_token": TOKEN}).encode())
        elif self._admitted():
            self._answer(202, b"", {"Location": "/upload/1?state=x"})

    def do_PUT(self) -> None:
        body = self._body()
        if not self._admitted():
            return
        digest = str(Digest.of(body))
        if self.path.startswith("/upload/"):
            query = parse_qs(urlsplit(self.path).query)
            fits = query == {"state": ["x"], "digest": [digest]}
            self.server.blobs[digest] = body
            self._answer(201 if fits else 400)
            return
        wanted = json.loads(body)
        children = [one["digest"] for one in wanted.get("manifests", ())]
        blobs = [one["digest"] for one in [*wanted.get("layers", ()), wanted.get("config")] if one]
        if {*children} - {*self.server.manifests} or {*blobs} - {*self.server.blobs}:
            self._answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"missing"}]}')
            return
        for name in (digest, self.path.rpartition("/")[2]):
            self.server.manifests[name] = (self.headers["content-type"], body)
        self._answer(201, b"", {"Docker-Content-Digest": digest})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["content-length"] or 0))

    def _admitted(self) -> bool:
        self.server.requests[self.command] += 1
        if self.server.faults:
            status, headers, body = self.server.faults.pop(0)
            self._answer(status, body, headers)
            return False
        challenges = {
            "basic": (_basic(), 'Basic realm="r"'),
            "bearer": (f"Bearer {TOKEN}", f'Bearer realm="{self.server.realm}",service="s"'),
        }
        wanted, challenge = challenges.get(self.server.authentication, (None, ""))
        if wanted is None or self.headers["authorization"] == wanted:
            return True
        self._answer(401, b"", {"WWW-Authenticate": challenge})
        return False

    def _answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _basic() -> str:
    return f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


@contextmanager
def serving_registry() -> Iterator[FakeRegistry]:
    with serving(FakeRegistry()) as server:
        yield server
