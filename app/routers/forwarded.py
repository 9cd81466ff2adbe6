"""Requests as trusted proxies received them: the client's address, the scheme, the identifier."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.proxies import (
    Network,
    ProxyHeader,
    addresses_of,
    forwarded_client,
    is_trusted,
    same_client,
)
from app.telemetry.request_id import is_request_id

FORWARDED_ID = "nixery.request_id"
"""The key in the scope of the identifier that a trusted proxy gave to the request."""
_SCHEMES = frozenset({"http", "https"})


class Forwarded:
    """ASGI middleware that puts the values of trusted proxies into the scope."""

    def __init__(self, app: ASGIApp, *, trusted: tuple[Network, ...], header: ProxyHeader) -> None:
        self._app = app
        self._trusted = trusted
        self._header = header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") if scope["type"] == "http" else None
        if client and is_trusted(client[0], self._trusted):
            headers = Headers(scope=scope)
            addresses = addresses_of(self._header, headers.getlist(self._header))
            scheme = headers.get("x-forwarded-proto", "").strip().lower()
            scope = {
                **scope,
                "client": (forwarded_client(client[0], addresses, self._trusted), 0),
                "scheme": scheme if scheme in _SCHEMES else scope["scheme"],
            }
            identifiers = headers.getlist("x-request-id")
            if len(identifiers) == 1 and is_request_id(identifiers[0]):
                scope[FORWARDED_ID] = identifiers[0]
        await self._app(scope, receive, send)


def client_of(scope: Scope) -> str:
    """Return the client whose share of the queues the request uses; "" if unknown."""
    client = scope.get("client")
    return same_client(client[0]) if client else ""
