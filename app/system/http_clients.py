"""HTTP clients that trust the machine's authorities and reject invalid addresses of redirects."""

from urllib.parse import urljoin, urlsplit

import httpx

from app.system.certificates import trusting_context
from app.system.web_address import is_web_address


def async_client(*, seconds: float, follow_redirects: bool = True) -> httpx.AsyncClient:
    """Return a client, whose requests raise httpx.HTTPError.

    The address of a request has to be valid (``is_web_address``); those of redirects are checked.
    """
    return httpx.AsyncClient(
        verify=trusting_context(),
        follow_redirects=follow_redirects,
        timeout=seconds,
        event_hooks={"response": [_check_redirect_async]},
    )


def client(*, seconds: float) -> httpx.Client:
    """Return the same for code that blocks."""
    return httpx.Client(
        verify=trusting_context(),
        follow_redirects=True,
        timeout=seconds,
        event_hooks={"response": [_check_redirect]},
    )


async def _check_redirect_async(response: httpx.Response) -> None:
    _check_redirect(response)


def _check_redirect(response: httpx.Response) -> None:
    """Raise an error that callers expect, before the client parses the address."""
    if not response.has_redirect_location:
        return
    try:
        target = urlsplit(urljoin(str(response.request.url), response.headers["location"]))
        origin = f"{target.scheme}://{target.netloc}"
    except ValueError:
        origin = ""
    if not is_web_address(origin):
        raise httpx.RemoteProtocolError("the address of a redirect is invalid")
