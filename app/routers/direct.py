"""The routes of a pull, without the framework's routing.

A pull is the version check, a manifest and some twenty blobs.  The framework's routing and
dependency injection cost several times as much as these responses, so their paths are matched here.
The probe of the process is here too, because it must not wait behind other requests.

The functions are those that the router would call, and all other requests go to the router:
``tests/api/test_direct.py`` compares the responses of both ways.  Rules that apply to all requests
belong in ``Gate``, which is in front of both.
"""

import re
from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import RegistryError
from app.routers.blobs import get_blob
from app.routers.errors import registry_error
from app.routers.health import get_health
from app.routers.manifests import get_manifest
from app.routers.version import get_version

# As the router matches them: a name may contain "/manifests/", what follows the last one may not
# contain a slash.
_CONTENT = re.compile(r"/v2/(.*)/(manifests|blobs)/([^/]+)")
_METHODS = frozenset({"GET", "HEAD"})


class Direct:
    """ASGI middleware that handles the requests of pulls."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == "/v2/":
            await _respond(get_version, scope, receive, send)
        elif path == "/healthz":
            await _respond(get_health, scope, receive, send)
        elif found := _CONTENT.fullmatch(path):
            name, kind, last = found.groups()
            if kind == "manifests":
                scope["path_params"] = {"name": name, "reference": last}
                await _respond(get_manifest, scope, receive, send)
            else:
                scope["path_params"] = {"name": name, "digest": last}
                await _respond(get_blob, scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _respond(
    route: Callable[[Request], Awaitable[Response]], scope: Scope, receive: Receive, send: Send
) -> None:
    started = False

    async def note(message: Message) -> None:
        nonlocal started
        started = True
        await send(message)

    request = Request(scope, receive, send)
    try:
        response = await route(request)
        await response(scope, receive, note)
    except RegistryError as error:
        if started:
            raise
        response = await registry_error(request, error)
        await response(scope, receive, send)
