"""Response headers, as /openapi.json describes them."""

from typing import Any

Described = dict[str, dict[str, Any]]


def _header(name: str, description: str, *, always: bool = True) -> Described:
    return {name: {"description": description, "required": always, "schema": {"type": "string"}}}


CONTENT: Described = {
    **_header("Docker-Content-Digest", "The digest of the bytes"),
    **_header("ETag", "The digest in quotes"),
    **_header("Cache-Control", "By tag: revalidate; by digest: one year"),
}
VARY = _header("Vary", "By tag: Accept", always=False)
UNKNOWN_IMAGE: Described = {
    **_header("Vary", "No such package or tag: User-Agent", always=False),
    **_header("Warning", "No such package or tag: the message", always=False),
}
WARNING = _header("Warning", "By tag: warnings about the image", always=False)
ACCEPT_RANGES = _header("Accept-Ranges", "bytes")
CONTENT_RANGE = _header("Content-Range", "The range and the size of the blob")
SIZE = _header("Content-Range", "The size of the blob")
LOCATION = _header("Location", "The address of the next request")
RETRY_AFTER = _header("Retry-After", "Seconds")
LINK = _header("Link", "Relative, to the next page; none at the end", always=False)
FILTERS = _header("OCI-Filters-Applied", "artifactType, if the request has it", always=False)
_REQUEST_ID = _header("X-Request-Id", "The identifier of the request in the server's log")
_API_VERSION = _header("Docker-Distribution-Api-Version", "registry/2.0")


def add_common(description: dict[str, Any]) -> None:
    """Add the headers that ``Gate`` gives to every response."""
    for path, operations in description["paths"].items():
        common = _REQUEST_ID | (_API_VERSION if path.startswith("/v2/") else {})
        for operation in operations.values():
            for response in operation["responses"].values():
                response["headers"] = response.get("headers", {}) | common
