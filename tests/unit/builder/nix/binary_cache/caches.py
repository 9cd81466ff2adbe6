"""Binary caches made by hand, and a server for them with failures on request."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from app.builder.nix.closure import StorePath
from tests.serving import serving as served
from tests.unit.builder.images.layering.closures import store_path


def narinfo(path: StorePath, references: Sequence[StorePath], nar_size: int = 1000) -> bytes:
    fields = {
        "StorePath": str(path),
        "URL": f"nar/{path.hash_part}.nar.xz",
        "Compression": "xz",
        "FileHash": "sha256:0",
        "FileSize": "1",
        "NarHash": "sha256:1mk1hpmvnv6nwqqwvyyl6rcs2avmcr5k1p0zpvnxyx0jhq2iy8b7",
        "NarSize": str(nar_size),
        "References": " ".join(reference.base for reference in references),
        "Sig": "cache-1:AAAA==",
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()


def make_cache(directory: Path, packages: Mapping[str, Sequence[str]]) -> Path:
    """Write a cache of ``{name: names it refers to}``."""
    directory.mkdir(exist_ok=True)
    (directory / "nix-cache-info").write_text("StoreDir: /nix/store\nWantMassQuery: 1\n")
    for name, others in packages.items():
        path = store_path(name)
        document = narinfo(path, [store_path(other) for other in others])
        (directory / f"{path.hash_part}.narinfo").write_bytes(document)
    return directory


Fault = Callable[["Handler"], None]


class CacheServer(ThreadingHTTPServer):
    """Serves files; ``faults`` by path are used up, one for each request, before the file is."""

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory = directory
        self.faults: dict[str, list[Fault]] = {}
        self.requests: Counter[str] = Counter()
        self.connections = 0
        self._counting = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self, path: str) -> Fault | None:
        with self._counting:
            self.requests[path] += 1
            faults = self.faults.get(path, [])
            return faults.pop(0) if faults else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CacheServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        path = self.path.lstrip("/").partition("?")[0]
        fault = self.server.fault(path)
        file = self.server.directory / path
        if fault is not None:
            fault(self)
        elif file.is_file():
            self.answer(200, file.read_bytes())
        else:
            self.answer(404, b"not found")

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


def status(code: int, headers: Mapping[str, str] | None = None) -> Fault:
    return lambda handler: handler.answer(code, b"", headers)


def drop(handler: Handler) -> None:
    """End the connection without an answer."""
    handler.close_connection = True


def truncate(handler: Handler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"StorePath: ")
    handler.close_connection = True


def hang(released: threading.Event) -> Fault:
    """Send no response: wait to be released, and close."""

    def wait(handler: Handler) -> None:
        released.wait(60)
        handler.close_connection = True

    return wait


def garbage(handler: Handler) -> None:
    handler.answer(200, b"<html>please log in</html>")


def serving(directory: Path) -> AbstractContextManager[CacheServer]:
    return served(CacheServer(directory))
