"""Limits on connections, for any of uvicorn's protocols.

A ``Connection`` stands between the transport and uvicorn's protocol.  It uses only interfaces of
asyncio and ASGI, so that changes inside uvicorn cannot remove the limits.
"""

import asyncio
import json
from collections.abc import Callable, MutableMapping
from contextvars import Context
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, cast

from loguru import logger
from starlette.types import ASGIApp, Receive, Scope, Send

from app.server.request_limits import MalformedRequest, Phase, RequestReader
from app.server.stalls import STALL_SECONDS, StallTimer

# Read while fewer requests are without a response.  At least two: the body of a request that has
# a response may still have to be read.
_UNANSWERED = 4
# The parser reads all of its input; a slice this small has at most seven requests.
_SLICE = 128

Peer = tuple[str, int]
MakeProtocol = Callable[..., asyncio.Protocol]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Times that a client has, in seconds.

    ``head_seconds`` is the time for a request's head, and then for its body.  It starts with the
    connection, the first byte of a head, or the end of the head.  ``stall_seconds`` is the time in
    which a client has to read some of a response.
    """

    head_seconds: float = 60.0
    stall_seconds: float = STALL_SECONDS


class Connections:
    """Make connections, and notify each when one of its requests has its response."""

    def __init__(self, make_protocol: MakeProtocol, limits: ConnectionLimits) -> None:
        self._make_protocol = make_protocol
        self._limits = limits
        self._open: dict[Peer, Connection] = {}

    def __call__(self, *arguments: Any, **options: Any) -> asyncio.Protocol:  # noqa: ANN401  # uvicorn's own
        """Make a connection for uvicorn, which expects a class of protocols."""
        return Connection(self._make_protocol(*arguments, **options), self._limits, self._open)

    def counting(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application: a request that it returns from has its response."""

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            client = scope.get("client") if scope["type"] == "http" else None
            connection = self._open.get(tuple(client)) if client else None
            try:
                await app(scope, receive, send)
            finally:
                if connection is not None:
                    connection.responded()

        return run

    def abort(self) -> int:
        """Abort all connections; return their number."""
        connections = tuple(self._open.values())
        for connection in connections:
            connection.abort()
        return len(connections)


class Connection(asyncio.Protocol):
    """Forward received bytes while few requests are without a response; hold the rest."""

    _transport: asyncio.Transport
    _stall: StallTimer

    def __init__(
        self,
        protocol: asyncio.Protocol,
        limits: ConnectionLimits,
        register: MutableMapping[Peer, "Connection"],
    ) -> None:
        self._protocol = protocol
        self._limits = limits
        self._register = register
        self._peer: Peer | None = None
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader()
        self._responded = 0
        self._held = b""
        self._paused_behind = False
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._stall = StallTimer(self._transport, self._limits.stall_seconds)
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self._peer = (str(name[0]), int(name[1]))
            self._register[self._peer] = self
        self._protocol.connection_made(
            cast("asyncio.Transport", _TransportBehind(self._transport, self))
        )
        self._restart_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        self._held = b""
        self._stall.stop()
        self._cancel_timeout()
        if self._peer is not None and self._register.get(self._peer) is self:
            del self._register[self._peer]
        self._protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._held += data
        self._forward()

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._stall.start()
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._stall.stop()
        self._protocol.resume_writing()

    def responded(self) -> None:
        """Count a response; the protocol behind may notice it only later."""
        self._responded += 1
        if self._held:
            # An empty context: the next request must not inherit from this one.
            self._loop.call_soon(self._forward, context=Context())

    def abort(self) -> None:
        self._transport.abort()

    @property
    def _unanswered(self) -> int:
        return self._reader.begun - self._responded

    def _forward(self) -> None:
        events = self._reader.events
        while self._held and self._unanswered < _UNANSWERED and not self._transport.is_closing():
            try:
                piece = self._read()
            except MalformedRequest as error:
                self._refuse(str(error))
                return
            self._held = self._held[len(piece) :]
            self._protocol.data_received(piece)
        if self._transport.is_closing():
            self._held = b""
            return
        self._read_or_pause()
        if events != self._reader.events:
            self._restart_timeout()

    def _read(self) -> bytes:
        """Return the bytes that may be forwarded in one piece.  Raises MalformedRequest."""
        end = 0
        while end < len(self._held) and self._unanswered < _UNANSWERED:
            part = self._held[end : end + _SLICE]
            read = self._reader.feed(part)
            end += read
            if read < len(part):
                # The parser behind drops the rest of a piece that requests an upgrade.
                break
        return self._held[:end]

    def request_reading(self, *, paused: bool) -> None:
        """Pause or resume reading for the protocol behind."""
        self._paused_behind = paused
        self._read_or_pause()
        self._restart_timeout()

    def _read_or_pause(self) -> None:
        if self._transport.is_closing():
            return
        if self._held or self._paused_behind:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _restart_timeout(self) -> None:
        """Restart the time-out, which applies only while the server reads."""
        self._cancel_timeout()
        if self._reader.phase is not Phase.BETWEEN and not self._held and not self._paused_behind:
            seconds = self._limits.head_seconds
            self._timeout = self._loop.call_later(seconds, self._transport.abort)

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _refuse(self, message: str) -> None:
        """Respond to a malformed request in a registry's form: clients show no other text."""
        logger.info("Invalid HTTP request: {}", message)
        self._held = b""
        if self._unanswered or self._reader.phase is not Phase.HEAD:
            # The client would read this response as part of another one.
            self._transport.close()
            return
        error = {"code": "UNSUPPORTED", "message": message, "detail": {}}
        body = json.dumps({"errors": [error]}).encode()
        lines = (
            "HTTP/1.1 400 Bad Request",
            f"date: {formatdate(usegmt=True)}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            # The malformed request may have been one for the registry.
            "docker-distribution-api-version: registry/2.0",
            "connection: close",
        )
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self._transport.close()


class _TransportBehind:
    """The transport of the protocol behind, which forwards pauses to the connection."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport = transport
        self._connection = connection

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def pause_reading(self) -> None:
        self._connection.request_reading(paused=True)

    def resume_reading(self) -> None:
        self._connection.request_reading(paused=False)
