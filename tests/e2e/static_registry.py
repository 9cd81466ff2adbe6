"""A registry of forty lines that has one image under every name and tag."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.oci import Digest, MediaType


@contextmanager
def serving(manifest: bytes, blobs: Mapping[str, bytes]) -> Iterator[str]:
    """HOST:PORT; ``blobs`` by digest, the manifest's own among them."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _, kind, reference = f"/{self.path}".rsplit("/", 2)
            body = blobs.get(reference, manifest if kind == "manifests" else b"{}")
            self.send_response(200)
            self.send_header("Content-Type", MediaType.OCI_MANIFEST)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", str(Digest.of(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Log nothing: the clients report failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
