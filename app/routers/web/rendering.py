"""Pages from templates: every value is escaped, and nothing is loaded from other hosts."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from app.system import threads
from app.system.blocking import blocking
from app.system.on_demand import OnDemand
from app.text.size import readable_size

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = OnDemand("jinja2")

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
# Paths whose clients are programs, whatever types they accept.
_FOR_PROGRAMS = ("/v2/", "/api/")


_LOADING = Lock()


@blocking
def _load() -> "jinja2.Environment":
    """Return the templates; the first pages wait for one thread, which compiles them."""
    with _LOADING:
        return _compiled()


@cache
def _compiled() -> "jinja2.Environment":
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("app.routers.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["size"] = readable_size
    for name in templates.list_templates():
        templates.get_template(name)
    return templates


class _Page(Response):
    """The first page loads the templates, in a thread: many servers never show one."""

    def __init__(
        self, template: str, values: Mapping[str, object], status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(None, status, headers)
        self._template = template
        self._values = values

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limiter = to_thread.current_default_thread_limiter()
        templates = await threads.run(_load, limiter=limiter)
        text = templates.get_template(self._template).render(self._values)
        headers = {**self.headers, "content-length": str(len(text.encode()))}
        response = Response(text, self.status_code, headers, media_type="text/html")
        await response(scope, receive, send)


def is_browser(request: Request) -> bool:
    """Return whether the client wants a page."""
    if f"{request.scope['path']}/".startswith(_FOR_PROGRAMS):
        return False
    return any("text/html" in accept for accept in request.headers.getlist("accept"))


def page(
    template: str, *, status: int = 200, headers: Mapping[str, str] = _NONE, **values: object
) -> Response:
    return _Page(template, values, status, {**_HEADERS, **headers})


def error_page(
    status: int, message: str, headers: Mapping[str, str] = _NONE, *, plan: str = ""
) -> Response:
    """Return a page with a message.

    ``plan`` is the path of the page about a pull of the missing image.
    """
    title = HTTPStatus(status).phrase
    if status == HTTPStatus.NOT_FOUND:
        title = "Page not found"
    return page(
        "error.html", status=status, headers=headers, title=title, message=message, plan=plan
    )


def document(body: str, headers: Mapping[str, str] = _NONE) -> Response:
    """Return JSON where a browser would get a page."""
    return Response(body, headers={**headers, **_HEADERS}, media_type="application/json")
