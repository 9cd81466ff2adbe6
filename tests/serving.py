"""Servers of the standard library in a thread."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import Any, TypeVar

S = TypeVar("S", bound=BaseServer)


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Let the server handle requests until the context is left; a disconnect is not reported.

    A test of standard error would read the traceback that the standard library writes there.
    """
    report = server.handle_error

    def handle_error(*connection: Any) -> None:  # noqa: ANN401  # as the library passes them
        if not isinstance(sys.exception(), ConnectionError):
            report(*connection)

    server.handle_error = handle_error  # type: ignore[method-assign, assignment]
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
