"""Loads the layer plan, or Nixery's popularity data, once at start-up."""

from pathlib import Path

import httpx
from anyio import fail_after, to_thread

from app.builder.layering.plan import Plan, PlanInvalid, parse_plan

# The plan of all of nixpkgs is about 3 MB, its popularity data too.
SIZE_LIMIT = 64_000_000
SECONDS = 60.0


class PopularityUnavailable(Exception):
    """One line for the operator: which URL or file, what is wrong, what to do."""


class _TooLarge(Exception):
    """More than any popularity data has."""


async def load_plan(source: str) -> Plan:
    """From an http or https URL, or a file.  Raises PopularityUnavailable."""
    shown = source
    try:
        with fail_after(SECONDS):
            if source.lower().startswith(("http://", "https://")):
                url = httpx.URL(source)
                # The user part and the query may be secrets.
                shown = f"{url.scheme}://{url.netloc.decode()}{url.path}"
                document = await _download(url)
            else:
                document = await to_thread.run_sync(_read, Path(source))
        return await to_thread.run_sync(parse_plan, document)
    except TimeoutError:
        reason = f"no whole answer within {SECONDS:g} s"
    except _TooLarge:
        reason = f"it has more than {SIZE_LIMIT // 1_000_000} MB"
    except httpx.HTTPStatusError as error:
        reason = f"the server answers {error.response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except PlanInvalid as error:
        reason = str(error)
    raise PopularityUnavailable(
        f"cannot use the popularity data at {shown}: {reason}"
        " (it is optional: name another URL or file in NIX_POPULARITY_URL, or unset it)"
    )


async def _download(url: httpx.URL) -> bytes:
    body = bytearray()
    async with (
        httpx.AsyncClient(follow_redirects=True) as client,
        client.stream("GET", url) as response,
    ):
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > SIZE_LIMIT:
                raise _TooLarge
    return bytes(body)


def _read(path: Path) -> bytes:
    """Blocking."""
    with path.open("rb") as file:
        body = file.read(SIZE_LIMIT + 1)
    if len(body) > SIZE_LIMIT:
        raise _TooLarge
    return body
