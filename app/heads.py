"""A request's head has a size and a time: uvicorn's httptools protocol bounds neither.

Without these a client costs memory for as long a header as it likes to send, or a connection
for as long as it likes to take, before any of our code has seen a request.
"""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What other servers take; real clients, with tokens and cookies, send a few KiB.  The piece in
# which a request begins is not counted, for the one before may end in it.
_HEAD_BYTES = 64 << 10


class BoundedProtocol(HttpToolsProtocol):
    """``head_seconds``: from the connection, or a request's first byte, to the end of its head."""

    head_seconds = 60.0
    _in_head = True
    _head_bytes = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def send_400_response(self, msg: str) -> None:
        """Of a head that is none; in a registry's form, since clients show no other text."""
        error = {"code": "UNSUPPORTED", "message": msg, "detail": {}}
        body = json.dumps({"errors": [error]}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            # Nobody can say whether what is no request was meant for the registry.
            (b"docker-distribution-api-version", b"registry/2.0"),
            (b"connection", b"close"),
        ]
        lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(header) for header in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect_nothing()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._expect_nothing()
        self._late = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
