"""The real server on a free port of the loopback, in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from starlette.types import ASGIApp

from app.server.connection import ConnectionLimits
from app.server.listening import listen, url_of
from app.server.server import OnStop, Server

_LIMITS = ConnectionLimits()


@contextmanager
def served(
    app: ASGIApp,
    *,
    sendfile: bool = True,
    drain_seconds: float = 5,
    on_stop: OnStop | None = None,
    hurried: bool = False,
    limits: ConnectionLimits = _LIMITS,
) -> Iterator[str]:
    """Gives the server's address; leaving waits until the server has stopped."""
    listener = listen("127.0.0.1", 0)
    address = url_of(listener)
    server = Server(
        app,
        listener,
        drain_seconds=drain_seconds,
        on_stop=on_stop,
        sendfile=sendfile,
        limits=limits,
    )
    thread = threading.Thread(target=lambda: uvloop.run(server.serve()))
    thread.start()
    try:
        yield address
    finally:
        server.stop()
        if hurried:
            server.stop()
        thread.join()
