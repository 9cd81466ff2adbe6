"""Responses whose headers are the same for GET and HEAD."""

import re
from collections.abc import Iterable, Mapping

from fastapi import Request
from fastapi.responses import Response

from app.oci import Digest
from app.text.sanitize import one_line

# In the scope of a HEAD that a route handles as a GET: the body is not sent.
HEADLESS = "nixery.headless"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATED = "no-cache"

_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')
_ESCAPE = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_WARNING_LIMIT = 300
_WARNINGS = 10


def bytes_response(
    request: Request,
    *,
    body: bytes,
    media_type: str,
    headers: Mapping[str, str],
    status: int = 200,
) -> Response:
    """Return a response; that to a HEAD has the length of the body, without the body."""
    response = Response(b"" if request.method == "HEAD" else body, status, dict(headers))
    response.headers["content-type"] = media_type  # without a charset
    response.headers["content-length"] = str(len(body))
    return response


def content_headers(digest: Digest, cache_control: str) -> dict[str, str]:
    return {
        "docker-content-digest": str(digest),
        "etag": f'"{digest}"',
        "cache-control": cache_control,
    }


def is_current(request: Request, digest: Digest) -> bool:
    """Return whether If-None-Match names this content (RFC 9110, 13.1.2)."""
    conditions = request.headers.getlist("if-none-match")
    if not conditions:
        return False
    tags = _ENTITY_TAG.findall(",".join(conditions))
    return f'"{digest}"' in tags or any(text.strip() == "*" for text in conditions)


def add_warnings(response: Response, warnings: Iterable[str]) -> None:
    """Add a header line for each warning (distribution-spec, "Warnings").

    Quotes delimit exactly one warning in a line.
    """
    for warning, _ in zip(warnings, range(_WARNINGS), strict=False):
        response.headers.append(
            "warning", f'299 - "{_quotable(one_line(warning, _WARNING_LIMIT))}"'
        )


def _quotable(text: str) -> str:
    """Return ASCII text for a quoted string (RFC 7230, 3.2.6).

    Quotes and backslashes are replaced: some clients end the text at a quote that is escaped.
    containerd decodes percent-encoding and drops the warning if the result is not printable, so
    such a percent sign is escaped.
    """
    text = text.replace("\\", "/").replace('"', "'").replace("…", "...")
    text = _ESCAPE.sub(r"\\%", text)
    return text.encode("ascii", "replace").decode()
