"""A signed binary cache on the loopback, with latency and faults."""

import http.server
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.newer_nix import NewerNix
from tests.e2e.server import ROOT

_LATENCY_SECONDS = 0.02
_PACKAGES = ROOT / "tests" / "nix" / "small" / "cached.nix"


@dataclass
class Fault:
    """A failure of the cache.

    ``kind`` is a status, "cut" or "silence".  ``times`` is the number of requests that still fail.
    """

    pattern: str
    kind: int | str
    times: int


@dataclass
class BinaryCache:
    """A server of a binary cache.

    ``directory`` is a cache as ``nix copy`` writes it; ``key`` is its public key.
    """

    directory: Path
    key: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, pattern: str, kind: int | str, times: int = 1_000_000) -> None:
        self.faults.append(Fault(pattern, kind, times))

    def heal(self) -> None:
        self.faults.clear()

    def fault(self, path: str) -> int | str | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, path):
                fault.times -= 1
                return fault.kind
        return None

    def fill(self, nix: NewerNix, packages: Path, *names: str, key_name: str = "team-1") -> None:
        """Build the packages in the store of this Nix, and copy them here, signed."""
        secret, public = self.directory / "secret", self.directory / "public"
        if not secret.exists():
            generate = ("nix-store", "--generate-binary-cache-key", key_name)
            nix.run(*generate, str(secret), str(public))
        self.key = public.read_text()
        attributes = [word for name in names for word in ("-A", name)]
        system = ("--argstr", "system", "x86_64-linux")
        paths = nix.run("nix-build", "--no-out-link", str(packages), *system, *attributes).split()
        features = ("--extra-experimental-features", "nix-command")
        target = f"file://{self.directory}?secret-key={secret}&compression=xz"
        nix.run("nix", "copy", *features, "--to", target, *paths)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cache: BinaryCache

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.cache.requests.append(self.path)
        time.sleep(_LATENCY_SECONDS)
        match self.cache.fault(self.path):
            case int(status):
                self._answer(status, b"")
            case "silence":
                self.cache.closing.wait()
                self.close_connection = True
            case "cut":
                self._cut(self._body() or b"")
            case _:
                body = self._body()
                self._answer(404 if body is None else 200, body or b"")

    def _body(self) -> bytes | None:
        file = self.cache.directory / self.path.lstrip("/")
        return file.read_bytes() if file.is_file() else None

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _cut(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


def cached_set(directory: Path) -> Path:
    """Write a package set whose store paths are new, and whose ``permit`` is a file beside it."""
    file = directory / "default.nix"
    text = _PACKAGES.read_text().replace('salt ? ""', f'salt ? "{uuid.uuid4()}"')
    file.write_text(text.replace("/nonexistent", str(file.with_name("permit"))))
    return file


@contextmanager
def filled_cache(nix: NewerNix, packages: Path, directory: Path) -> Iterator[BinaryCache]:
    """Serve a cache that has most packages of ``cached_set``."""
    cache = BinaryCache(directory)
    cache.fill(nix, packages, "cacert", "iana-etc", "leaf", "tree", "local")
    with serving(cache):
        yield cache


@contextmanager
def serving(cache: BinaryCache) -> Iterator[BinaryCache]:
    """At the same port each time."""
    handler = type("Handler", (_Handler,), {"cache": cache})
    with http.server.ThreadingHTTPServer(("127.0.0.1", cache.port), handler) as server:
        cache.port = server.server_port
        cache.closing.clear()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield cache
        finally:
            cache.closing.set()
            server.shutdown()
            thread.join()
