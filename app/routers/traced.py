"""A span for each request, around all other middleware; only with OpenTelemetry."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.tracing import Traced, Tracing

_ERROR = 500


class TracedRequests:
    """ASGI middleware that records a span for each request."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

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
                "url.path": scope["path"],
                "http.response.status_code": status,
                "nixery.request": request,
            }
            work = Traced(
                f"{scope['method']} {_route(scope['path'])}",
                begun,
                time.monotonic(),
                attributes,
                failed=status >= _ERROR,
            )
            self._tracing.record(work)


def _route(path: str) -> str:
    """Return the first component: names of spans are few."""
    return f"/{path.split('/', 2)[1]}" if path.startswith("/") else "/"
