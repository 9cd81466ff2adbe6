"""The operator's own pages at /, outside the registry's paths."""

from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send


class Pages(StaticFiles):
    """Files of a directory, served at /."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if f"{scope['path']}/".startswith("/v2/"):
            # Registry clients need an error in JSON, not a page.
            raise HTTPException(404)
        await super().__call__(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if location := response.headers.get("location"):
            # The redirect to a directory's slash is absolute, with the wrong scheme behind a proxy.
            response.headers["location"] = urlsplit(location).path
        return response
