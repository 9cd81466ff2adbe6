"""Download a layer profile.  Imported where a URL is configured, since it imports httpx."""

import httpx

from app.builder.images.profile_loading import ProfileUnreadable, check_size
from app.system.http_clients import async_client
from app.system.web_address import is_web_address

_SECONDS = 5.0


def shown_url(source: str) -> str:
    """Return the URL without user part and query, which may be secrets.  Raises ValueError."""
    if not is_web_address(source):
        raise ValueError("the address is invalid")
    url = httpx.URL(source)
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"


async def download(source: str) -> bytes:
    """Return the document at a URL.  Raises ProfileUnreadable, OSError."""
    body = bytearray()
    try:
        async with (
            async_client(seconds=_SECONDS) as client,
            client.stream("GET", source) as response,
        ):
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                check_size(body)
    except httpx.HTTPStatusError as error:
        raise ProfileUnreadable(
            f"the server responded with {error.response.status_code}"
        ) from error
    except httpx.HTTPError as error:
        raise ProfileUnreadable(str(error) or type(error).__name__) from error
    return bytes(body)
