"""An operator's own pages at /; they never answer for the registry."""

from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send


class Pages(StaticFiles):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if f"{scope['path']}/".startswith("/v2/"):
            # A page for what is not found would be all that a registry's client gets to read.
            raise HTTPException(404)
        await super().__call__(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if location := response.headers.get("location"):
            # Of a directory without its slash: absolute, with the wrong scheme behind a proxy.
            response.headers["location"] = urlsplit(location).path
        return response
