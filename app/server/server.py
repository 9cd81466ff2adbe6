"""The web server: uvicorn, with files sent by the kernel."""

import asyncio
import math
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from loguru import logger
from starlette.types import ASGIApp

from app.server.connection import ConnectionLimits, Connections, MakeProtocol

# Above the idle time of every proxy and client in use, so that they close first: a request
# must never meet a connection that the server is just closing.
_KEEP_ALIVE_SECONDS = 90
_BACKLOG = 2048
# For answers that on_stop has just made possible.
_LAST_WORDS_SECONDS = 2
# After that connections are cut, which ends every answer quietly; what is left then hangs, and
# uvicorn ends it with a traceback.
_HANGING_SECONDS = 20
# Signal handlers may touch nothing of the event loop: it looks for itself.
_HURRY_SECONDS = 0.1
_LIMITS = ConnectionLimits()


# Is given seconds; may be called again with fewer.
OnStop = Callable[[float], Awaitable[None]]


class Server:
    """One process, one event loop; SIGTERM and SIGINT stop it when it runs in the main thread.

    ``port`` 0 is any free one.  A stop waits ``drain_seconds`` for answers on their way, and
    gives ``on_stop`` as long meanwhile: what answers wait for has to end before they can.  Answers
    that are not sent a moment after both are cut off.  A second SIGINT leaves no more time.
    Without ``sendfile`` files pass through Python.  ``limits`` hold for each connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        drain_seconds: float,
        on_stop: OnStop | None = None,
        sendfile: bool = True,
        limits: ConnectionLimits = _LIMITS,
    ) -> None:
        self._host = host
        self._port = port
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
        self._listener: socket.socket | None = None

    def listen(self) -> str:
        """Blocking.  Take the port and return our address; clients may connect from now on.

        Raises OSError, for instance when the port is taken.
        """
        if self._listener is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._listener = socket.create_server(
                (self._host, self._port),
                family=family,
                backlog=_BACKLOG,
                dualstack_ipv6=self._host == "::",
            )
        port = self._listener.getsockname()[1]
        return (
            f"http://[{self._host}]:{port}" if ":" in self._host else f"http://{self._host}:{port}"
        )

    def run(self) -> None:
        """Blocking.  Serve until stopped.  SystemExit when the application cannot start."""
        logger.info("listening on {}", self.listen())
        assert self._listener is not None
        with self._listener:
            self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        """From any thread: finish what is under way, then let ``run`` return; twice: at once."""
        self._server.ask()


class _Stopping(uvicorn.Server):
    """uvicorn tells the application that it stops only after the last answer is sent."""

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

    def ask(self) -> None:
        self._hurried = self.should_exit
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGINT and self.should_exit and not self._hurried:
            self._captured_signals.append(sig)
            self.ask()
        else:
            super().handle_exit(sig, frame)  # the third one is uvicorn's: no word to anybody

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        answering = asyncio.ensure_future(super().shutdown(sockets))
        stopping = asyncio.ensure_future(self._end(self._drain_seconds))
        hurry = asyncio.ensure_future(self._hurry())
        await asyncio.wait(
            (answering, hurry), timeout=self._drain_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        await asyncio.wait((answering, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((answering,), timeout=_LAST_WORDS_SECONDS)
        if not answering.done():
            self._cut_off()
        await answering
        if self.force_exit:
            stopping.cancel()
        await asyncio.wait((stopping,))
        hurry.cancel()

    async def _end(self, seconds: float) -> None:
        if self._on_stop is not None:
            await self._on_stop(seconds)

    async def _hurry(self) -> None:
        while not self._hurried:  # noqa: ASYNC110  # a signal handler can set no event
            await asyncio.sleep(_HURRY_SECONDS)
        logger.info("stopping at once")
        await self._end(0)

    def _cut_off(self) -> None:
        """Applications are told that their clients left, which they know how to end for."""
        if count := self._open.abort():
            logger.warning("stopping: cut off {} connections with responses under way", count)


def _protocol(app: ASGIApp, limits: ConnectionLimits, *, sendfile: bool) -> MakeProtocol:
    """uvicorn's protocol, with sendfile where the inner names it needs are known."""
    with suppress(ImportError):
        from app.server.sendfile import SendfileProtocol, is_supported  # noqa: PLC0415  # may not import

        if is_supported():
            if sendfile:
                return partial(SendfileProtocol, stall_seconds=limits.stall_seconds)
            return _uvicorns_own(app)
    logger.warning(
        "uvicorn {} has other inner names than expected: files are sent without sendfile, which"
        " takes more CPU; limits on requests, heads and slow readers are in force",
        uvicorn.__version__,
    )
    return _uvicorns_own(app)


def _uvicorns_own(app: ASGIApp) -> MakeProtocol:
    config = uvicorn.Config(app, http="httptools", ws="none", log_config=None)
    config.load()
    return config.http_protocol_class
