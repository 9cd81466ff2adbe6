"""Requests that the framework routes share a part of the event loop's time.

They cost milliseconds each: routing, pages, documents.  Manifests, blobs and the probe of the
process are in front of this (``Direct``) and do not wait for them.
"""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import TooManyRequests
from app.routers.dependencies import services_of
from app.routers.errors import registry_error
from app.routers.forwarded import client_of

# An operator's requests: they wait as those of one client, and none is refused.
_OPERATORS = frozenset({"/readyz", "/metrics"})


class Paced:
    """ASGI middleware that bounds the time of requests behind it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def respond() -> None:
            await self._app(scope, receive, send)

        client = "" if scope["path"] in _OPERATORS else client_of(scope)
        try:
            await services_of(scope["app"]).loop_share.run(client, respond)
        except TooManyRequests as error:
            response = await registry_error(Request(scope), error)
            await response(scope, receive, send)
