"""Pages from templates: every value is escaped, and nothing is loaded from other hosts."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.text.size import readable_size

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_NONE: Mapping[str, str] = MappingProxyType({})
_HEADERS = {
    "cache-control": "no-store",
    "vary": "Accept",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": _POLICY,
}
STYLED = {
    "content-security-policy": _POLICY.replace(
        "style-src 'self'", "style-src 'self' 'unsafe-inline'"
    )
}
"""Headers of a page whose script sets styles."""
_templates = Environment(
    loader=PackageLoader("app.routers.web"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["size"] = readable_size
# Paths whose clients are programs, whatever types they accept.
_FOR_PROGRAMS = ("/v2/", "/api/")


def load() -> None:
    """Compile all templates, so that no request waits for the disk."""
    for name in _templates.list_templates():
        _templates.get_template(name)


def is_browser(request: Request) -> bool:
    """Return whether the client wants a page."""
    if f"{request.scope['path']}/".startswith(_FOR_PROGRAMS):
        return False
    return any("text/html" in accept for accept in request.headers.getlist("accept"))


def page(
    template: str, *, status: int = 200, headers: Mapping[str, str] = _NONE, **values: object
) -> Response:
    text = _templates.get_template(template).render(values)
    return Response(text, status, {**_HEADERS, **headers}, media_type="text/html")


def error_page(status: int, message: str, headers: Mapping[str, str] = _NONE) -> Response:
    title = HTTPStatus(status).phrase
    if status == HTTPStatus.NOT_FOUND:
        title = "Page not found"
    return page("error.html", status=status, headers=headers, title=title, message=message)


def document(body: str, headers: Mapping[str, str] = _NONE) -> Response:
    """Return JSON where a browser would get a page."""
    return Response(body, headers={**headers, **_HEADERS}, media_type="application/json")
