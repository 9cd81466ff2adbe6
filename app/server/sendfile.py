"""ASGI's zero copy send for uvicorn: the kernel copies a file to a socket.

Plain connections have the extension, as ``http.response.zerocopysend`` in the scope
(https://asgi.readthedocs.io/en/latest/extensions.html).  Several messages may form one body;
``offset`` and ``count`` are required.  The module uses a few inner names of uvicorn's httptools
protocol; ``is_supported`` checks for them.
"""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.server.stalls import STALL_SECONDS
from app.system import threads
from app.system.blocking import blocking

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

EXTENSION = "http.response.zerocopysend"

# Threads wait only for the disk, so a few serve many clients; short turns are fair.
_THREADS = 8
_TURN = 16 << 20
_COPIED = 256 << 10
_limiter: RunVar[CapacityLimiter] = RunVar("sendfile threads")


def is_supported() -> bool:
    """Return whether this uvicorn has the inner names that SendfileProtocol uses."""
    start = getattr(HttpToolsProtocol, "_start_asgi_task", None)
    if start is None or list(inspect.signature(start).parameters) != ["self", "cycle", "app"]:
        return False
    made = set(RequestResponseCycle.__init__.__code__.co_names)
    return {"transport", "disconnected", "expected_content_length"} <= made


class SendfileProtocol(HttpToolsProtocol):
    """A protocol of uvicorn, with files that the kernel sends.

    ``stall_seconds`` is the time in which a client has to read some of a file.  Files bypass the
    transport's buffer, which has a timer of its own.
    """

    stall_seconds: float
    _answering: RequestResponseCycle | None = None
    _waiting: asyncio.Future[None] | None = None

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401  # uvicorn's own
        stall_seconds: float = STALL_SECONDS,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*arguments, **options)
        self.stall_seconds = stall_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn notifies the last of several pipelined requests, which may not be the one that
        # the application responds to.
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        # The watched duplicate of the socket is not notified when the original is closed.
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: object) -> None:
        self._answering = cycle
        if self.transport.get_extra_info("sslcontext") is None:
            app = partial(self._run, cycle, cast("Application", app))
        super()._start_asgi_task(cycle, cast("Any", app))

    async def _run(
        self,
        cycle: RequestResponseCycle,
        app: Application,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), EXTENSION: {}}

        async def send_with_files(message: Message) -> None:
            # Garbage after a request closes the connection at once in uvloop, and in uvicorn one
            # iteration of the loop later.
            cycle.disconnected = cycle.disconnected or self.transport.is_closing()
            if message["type"] != EXTENSION:
                await send(message)
                return
            if cycle.disconnected:
                return
            try:
                connection = os.dup(self.transport.get_extra_info("socket").fileno())
            except OSError:  # no descriptor is left
                sent = await _copy(cycle, message, send)
            else:
                sent = await self._send_file(cycle, message, connection)
            if not sent:
                return
            end = {"type": "http.response.body", "more_body": message.get("more_body", False)}
            await send(end)

        await app(scope, receive, send_with_files)

    async def _send_file(
        self, cycle: RequestResponseCycle, message: Message, connection: int
    ) -> bool:
        """Return False if the client disconnected.  Closes the connection's descriptor."""
        file, offset, count = message["file"].fileno(), message["offset"], message["count"]
        try:
            if count > cycle.expected_content_length:
                raise RuntimeError("Response content longer than Content-Length")
            cycle.expected_content_length -= count
            while self.transport.get_write_buffer_size() and not cycle.disconnected:
                await self._writable(connection)
            while count and not cycle.disconnected:
                turn = min(count, _TURN)
                burst = partial(_send_burst, connection, file, offset, turn)
                sent = await threads.run(burst, limiter=_sending())
                offset, count = offset + sent, count - sent
                if sent < turn and not cycle.disconnected:
                    await self._writable(connection)
        except (ConnectionError, TimeoutError):
            cycle.disconnected = True
            self.transport.abort()
        finally:
            os.close(connection)
        return not cycle.disconnected

    async def _writable(self, connection: int) -> None:
        self._waiting = self.loop.create_future()
        # Readiness and the loss of the connection may occur in one iteration of the loop.
        self.loop.add_writer(connection, _settle, self._waiting)
        try:
            await asyncio.wait_for(self._waiting, self.stall_seconds)
        finally:
            self.loop.remove_writer(connection)
            self._waiting = None


def _sending() -> CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(_THREADS)
        _limiter.set(limiter)
        return limiter


async def _copy(cycle: RequestResponseCycle, message: Message, send: Send) -> bool:
    """Send the file through Python, which needs no further descriptor.

    Return False if the client disconnected.
    """
    offset, count = message["offset"], message["count"]
    while count and not cycle.disconnected:
        read = partial(_read, message["file"].fileno(), offset, min(count, _COPIED))
        piece = await threads.run(read, limiter=_sending())
        offset, count = offset + len(piece), count - len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    return not cycle.disconnected


def _settle(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


@blocking
def _read(file: int, offset: int, count: int) -> bytes:
    piece = os.pread(file, count, offset)
    if not piece:
        raise EOFError("the file is shorter than it was")
    return piece


@blocking
def _send_burst(connection: int, file: int, offset: int, count: int) -> int:
    """Return how many bytes the socket accepted; wait only for the disk."""
    sent = 0
    with suppress(BlockingIOError):
        while sent < count:
            step = os.sendfile(connection, file, offset + sent, count - sent)
            if step == 0:
                raise EOFError("the file is shorter than it was")
            sent += step
    return sent
