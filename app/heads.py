"""A request's head has a size and a time, and so has what follows its body: trailers are headers.

uvicorn's httptools protocol bounds neither.  Without these a client costs memory for as long a
header as it likes to send, or a connection for as long as it likes to take, without any of our
code having a word in it.
"""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What other servers take; real clients, with tokens and cookies, send a few KiB.  The piece in
# which a request begins is not counted, for the one before may end in it.
_HEAD_BYTES = 64 << 10


class BoundedProtocol(HttpToolsProtocol):
    """``head_seconds``: from the connection, or a request's first byte, to the end of its head,
    and from there, or from a piece of its body, to the next piece or its end.
    """

    head_seconds = 60.0
    _in_head = True
    _in_request = True
    _bytes = 0  # that are no body
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        super().connection_made(transport)
        self._expect_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_request:
            self._bytes += len(data)
        super().data_received(data)
        if self._bytes <= _HEAD_BYTES or self.transport.is_closing():
            return
        if self._in_head:
            self.send_400_response("The head of the request is too large.")
        elif self._in_request:
            self.transport.abort()  # it may be half answered

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
        self._in_head = self._in_request = True
        self._bytes = 0
        self._expect_more()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._bytes = 0
        self._expect_more()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes = 0
        self._expect_more()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_request = False
        self._bytes = 0
        self._expect_nothing()
        super().on_message_complete()

    def _expect_more(self) -> None:
        self._expect_nothing()
        self._late = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
