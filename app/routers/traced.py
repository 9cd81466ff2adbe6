"""A span for each request, around all other middleware; only with OpenTelemetry."""

import time

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.tracing import Traced, Tracing
from app.text.sanitize import one_line

_ERROR = 500
_PATH_LIMIT = 1000


class TracedRequests:
    """ASGI middleware that records a span for each request."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing
        self._components: frozenset[str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, request = time.monotonic(), _ERROR, ""

        async def note(message: Message) -> None:
            nonlocal status, request
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = dict(message["headers"])
                request = headers.get(b"x-request-id", b"").decode()
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            attributes = {
                "http.request.method": scope["method"],
                "url.path": one_line(scope["path"], _PATH_LIMIT),
                "http.response.status_code": status,
                "nixery.request": request,
            }
            work = Traced(
                f"{scope['method']} {self._route(scope)}",
                begun,
                time.monotonic(),
                attributes,
                failed=status >= _ERROR,
            )
            self._tracing.record(work)

    def _route(self, scope: Scope) -> str:
        """Return the first component of a route's path: names of spans are few."""
        if self._components is None:
            self._components = _first_components(scope["app"])
        first = scope["path"].split("/", 2)[1:2]
        return f"/{first[0]}" if first and first[0] in self._components else "other"


def _first_components(app: Starlette) -> frozenset[str]:
    paths = [getattr(route, "path", "") for route in app.routes]
    return frozenset(path.split("/", 2)[1] for path in paths if path)
