"""The web server: uvicorn, with files sent by the kernel."""

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import cast

import uvicorn
from loguru import logger
from starlette.types import ASGIApp

from app.server.connection import ConnectionLimits, Connections, MakeProtocol
from app.server.interpreter import switching_often

# Above the idle time of every proxy and client in use, so that they close first: a request
# must never meet a connection that the server is just closing.
_KEEP_ALIVE_SECONDS = 90
# For responses that on_stop has just made possible.
_FLUSH_SECONDS = 2
# Cut connections end their responses within this; uvicorn cancels the rest with a traceback.
_HANGING_SECONDS = 20
_POLL_SECONDS = 0.1
_LIMITS = ConnectionLimits()

# Takes seconds; may be called again with fewer.
OnStop = Callable[[float], Awaitable[None]]


class Server:
    """A uvicorn server on one listening socket, in one event loop.

    A stop waits ``drain_seconds`` for responses in progress.  At the same time it calls ``on_stop``
    with as many seconds, to end the work that responses wait for.  Responses that are not sent a
    moment after both are interrupted.  A second stop leaves no more time.

    Without ``sendfile`` files pass through Python.  ``limits`` apply to each connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        *,
        drain_seconds: float,
        on_stop: OnStop | None = None,
        sendfile: bool = True,
        limits: ConnectionLimits = _LIMITS,
    ) -> None:
        connections = Connections(_protocol(app, limits, sendfile=sendfile), limits)
        self._config = uvicorn.Config(
            connections.counting(app),
            http=cast("type[asyncio.Protocol]", connections),
            # These would replace the address by which a request finds its connection.
            proxy_headers=False,
            ws="none",
            lifespan="on",
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(drain_seconds + _HANGING_SECONDS),
        )
        self._server = _Stopping(self._config, connections, on_stop, drain_seconds)
        self._listener = listener

    async def serve(self) -> None:
        """Serve until stopped.  Raise SystemExit if the application's lifespan cannot start."""
        with self._listener, switching_often():
            await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Send what is under way, then let ``serve`` return; the second call: at once.

        May be called from any thread.
        """
        self._server.stop()


class _Stopping(uvicorn.Server):
    """A uvicorn server that ends the application's work when it stops.

    uvicorn ends an application's lifespan only after the last response is sent.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        on_stop: OnStop | None,
        drain_seconds: float,
    ) -> None:
        super().__init__(config)
        self._open = connections
        self._on_stop = on_stop
        self._drain_seconds = drain_seconds
        self._hurried = False

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        """Leave signals to the process that runs this server (app.server.signals)."""
        return nullcontext()

    def stop(self) -> None:
        self._hurried = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        responding = asyncio.ensure_future(super().shutdown(sockets))
        stopping = asyncio.ensure_future(self._end(self._drain_seconds))
        hurry = asyncio.ensure_future(self._hurry())
        await asyncio.wait(
            (responding, hurry), timeout=self._drain_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        await asyncio.wait((responding, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((responding,), timeout=_FLUSH_SECONDS)
        if not responding.done():
            self._cut_off()
        await responding
        await asyncio.wait((stopping,))
        hurry.cancel()

    async def _end(self, seconds: float) -> None:
        if self._on_stop is not None:
            await self._on_stop(seconds)

    async def _hurry(self) -> None:
        while not self._hurried:  # noqa: ASYNC110  # set from other threads
            await asyncio.sleep(_POLL_SECONDS)
        logger.info("stopping at once")
        await self._end(0)

    def _cut_off(self) -> None:
        """Cut connections, so that applications end as they do when a client disconnects."""
        if count := self._open.abort():
            logger.warning("stopping: cut off {} connections with responses under way", count)


def _protocol(app: ASGIApp, limits: ConnectionLimits, *, sendfile: bool) -> MakeProtocol:
    """Return uvicorn's protocol, with sendfile if this uvicorn has the inner names it needs."""
    with suppress(ImportError):
        from app.server.sendfile import SendfileProtocol, is_supported  # noqa: PLC0415  # may not import

        if is_supported():
            if sendfile:
                return partial(SendfileProtocol, stall_seconds=limits.stall_seconds)
            return _plain_protocol(app)
    logger.warning(
        "uvicorn {} has other inner names than expected: files are sent without sendfile, which"
        " takes more CPU; limits on requests, heads and slow readers are in force",
        uvicorn.__version__,
    )
    return _plain_protocol(app)


def _plain_protocol(app: ASGIApp) -> MakeProtocol:
    config = uvicorn.Config(app, http="httptools", ws="none", log_config=None)
    config.load()
    return config.http_protocol_class
