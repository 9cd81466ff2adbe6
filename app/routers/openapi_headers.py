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
