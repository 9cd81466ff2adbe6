"""HTTP clients that trust the machine's authorities and bound what a server sends.

They reject invalid addresses of redirects, and ignore cookies: a server could set any number.
"""

from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import httpx

from app.system.certificates import trusting_context
from app.system.http_bodies import bound_body
from app.system.web_address import is_web_address

_MOST = 64 << 20
_HEADERS = {"accept-encoding": "gzip"}


def async_client(
    *, seconds: float, follow_redirects: bool = True, most: int = _MOST
) -> httpx.AsyncClient:
    """Return a client, whose requests raise httpx.HTTPError.

    The address of a request has to be valid (``is_web_address``); those of redirects are checked.
    ``most`` limits the bytes of a body.
    """
    return httpx.AsyncClient(
        verify=trusting_context(),
        follow_redirects=follow_redirects,
        timeout=seconds,
        headers=_HEADERS,
        cookies=_no_cookies(),
        event_hooks={"response": [partial(_check_async, most)]},
    )


def client(*, seconds: float) -> httpx.Client:
    """Return the same for code that blocks."""
    return httpx.Client(
        verify=trusting_context(),
        follow_redirects=True,
        timeout=seconds,
        headers=_HEADERS,
        cookies=_no_cookies(),
        event_hooks={"response": [partial(_check, _MOST)]},
    )


def _no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


async def _check_async(most: int, response: httpx.Response) -> None:
    _check(most, response)


def _check(most: int, response: httpx.Response) -> None:
    _check_redirect(response)
    bound_body(response, most)


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
