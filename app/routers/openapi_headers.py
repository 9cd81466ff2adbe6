"""Headers of answers, as /openapi.json describes them."""

from typing import Any

Described = dict[str, dict[str, Any]]


def _header(name: str, description: str, *, always: bool = True) -> Described:
    return {name: {"description": description, "required": always, "schema": {"type": "string"}}}


CONTENT: Described = {
    **_header("Docker-Content-Digest", "Of the bytes"),
    **_header("ETag", "The digest in quotes"),
    **_header("Cache-Control", "By tag to be asked again, by digest good for a year"),
}
VARY = _header("Vary", "By tag: Accept", always=False)
UNKNOWN_IMAGE: Described = {
    **_header("Vary", "No such package or tag: User-Agent", always=False),
    **_header("Warning", "No such package or tag: the message", always=False),
}
WARNING = _header(
    "Warning", "By tag: what to know about an image that is served all the same", always=False
)
ACCEPT_RANGES = _header("Accept-Ranges", "bytes")
CONTENT_RANGE = _header("Content-Range", "Which bytes these are, and of how many")
SIZE = _header("Content-Range", "How many bytes there are")
LOCATION = _header("Location", "Where to ask next")
RETRY_AFTER = _header("Retry-After", "Seconds")
LINK = _header("Link", "Relative, to the next page; none at the end", always=False)
FILTERS = _header("OCI-Filters-Applied", "artifactType, where that was asked for", always=False)
