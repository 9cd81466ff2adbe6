"""The listening socket of a server, taken before anything else is started."""

import socket

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Take the port; ``port`` 0 is any free one.  Clients may connect from now on.

    Raises OSError, for instance if the port is taken.
    """
    return socket.create_server(
        (host, port),
        family=socket.AF_INET6 if ":" in host else socket.AF_INET,
        backlog=_BACKLOG,
        dualstack_ipv6=host == "::",
    )


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
