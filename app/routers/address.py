"""The public address of this server, as links and pull commands name it."""

import re

from fastapi import Request

from app.routers.dependencies import services_of

# Longer ones would leave no room for the message.
_HOST = re.compile(r"[a-zA-Z0-9.:\[\]_-]{1,100}")
_LOCAL = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")
_PLACEHOLDER = "HOST"


def address(request: Request) -> str:
    """Return the public address of the settings, else the one that this client used."""
    host = request.headers.get("host", "")
    named = f"{request.scope['scheme']}://{host}" if _HOST.fullmatch(host) else ""
    return services_of(request.app).external_url or named


def registry_host(request: Request) -> str:
    """Return what precedes an image name in a pull command."""
    return address(request).partition("://")[2].rstrip("/") or _PLACEHOLDER


def needs_insecure(request: Request) -> bool:
    """Return whether clients have to be configured to pull from here without TLS."""
    return address(request).startswith("http://") and not _LOCAL.fullmatch(registry_host(request))
