"""The real server on a free port of the loopback, in a thread."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from app.server import Server


@contextmanager
def served(
    app: ASGIApp,
    *,
    sendfile: bool = True,
    drain_seconds: float = 5,
    on_stop: Callable[[], Awaitable[None]] | None = None,
) -> Iterator[str]:
    """Gives the server's address; leaving waits until the server has stopped."""
    server = Server(
        app,
        host="127.0.0.1",
        port=0,
        drain_seconds=drain_seconds,
        on_stop=on_stop,
        sendfile=sendfile,
    )
    address = server.listen()
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield address
    finally:
        server.stop()
        thread.join()
