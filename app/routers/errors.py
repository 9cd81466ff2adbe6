"""Errors as registry JSON; the only place that maps errors to HTTP statuses."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from loguru import logger
from starlette.exceptions import HTTPException

from app.errors import (
    BlobUnknown,
    DigestInvalid,
    ErrorCode,
    ImageUnknown,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    NotAcceptable,
    PaginationInvalid,
    RangeInvalid,
    Refused,
    RegistryError,
    StillBuilding,
    TooManyRequests,
    Unavailable,
)
from app.routers.address import address
from app.routers.clients import hides_not_found
from app.routers.dependencies import services_of
from app.routers.image_details import ImageNotBuilt
from app.routers.responses import add_warnings, bytes_response
from app.routers.web.rendering import error_page, is_browser
from app.text.sanitize import excerpt_for_client, one_line, one_line_for_client

STATUS: Mapping[type[RegistryError], HTTPStatus] = {
    RegistryError: HTTPStatus.INTERNAL_SERVER_ERROR,
    NameInvalid: HTTPStatus.BAD_REQUEST,
    DigestInvalid: HTTPStatus.BAD_REQUEST,
    ManifestUnknown: HTTPStatus.NOT_FOUND,
    NameUnknown: HTTPStatus.NOT_FOUND,
    BlobUnknown: HTTPStatus.NOT_FOUND,
    NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    RangeInvalid: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    PaginationInvalid: HTTPStatus.BAD_REQUEST,
    # The one status whose text docker, containerd, podman and crane all print.
    Refused: HTTPStatus.FORBIDDEN,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

_MESSAGE_LIMIT = 300
_DETAIL_ITEMS = 20
_UNAVAILABLE_SECONDS = 10
_NONE: Mapping[str, str] = MappingProxyType({})


def status_of(error: type[RegistryError]) -> HTTPStatus:
    """Return the status of the class or of its nearest ancestor in the table."""
    return next(STATUS[ancestor] for ancestor in error.__mro__ if ancestor in STATUS)


def error_body(code: ErrorCode, message: str, detail: Mapping[str, object] = _NONE) -> bytes:
    """Return the JSON of an error (distribution-spec, "Error Codes").

    ``message`` is sanitized already; ``detail`` is sanitized here.  There is exactly one entry:
    docker and podman read no more.
    """
    shown = {one_line_for_client(key, 50): _presentable(value) for key, value in detail.items()}
    entry = {"code": code, "message": message, "detail": shown}
    return json.dumps({"errors": [entry]}).encode()


def error_response(
    request: Request, status: int, body: bytes, headers: Mapping[str, str] = _NONE
) -> Response:
    return bytes_response(
        request,
        status=status,
        body=body,
        media_type="application/json",
        headers={"cache-control": "no-store", **headers},
    )


def install(app: FastAPI) -> None:
    app.add_exception_handler(RegistryError, registry_error)
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)


async def registry_error(request: Request, error: Exception) -> Response:
    """Return the response to a RegistryError."""
    assert isinstance(error, RegistryError)
    status = _status_for(request, error)
    _log(request, error, status)
    message = _with_page(request, error, status)
    if is_browser(request):
        return error_page(status, message, _headers(error))
    body = error_body(error.code, message, error.detail)
    response = error_response(request, status, body, _headers(error))
    if isinstance(error, ImageUnknown):
        add_warnings(response, (message,))
    return response


def _status_for(request: Request, error: RegistryError) -> HTTPStatus:
    """Return 403 for a mistyped image where the client would not print the message of a 404."""
    explained = isinstance(error, ImageUnknown) and services_of(request.app).explain_not_found
    if explained and hides_not_found(request.headers.get("user-agent", "")):
        return HTTPStatus.FORBIDDEN
    return status_of(type(error))


async def _framework_error(request: Request, error: Exception) -> Response:
    """Respond to errors of the router: unknown routes and methods."""
    assert isinstance(error, HTTPException)
    message = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
        message = "there is nothing at this address"
    plan = error.plan if isinstance(error, ImageNotBuilt) else ""
    return _unsupported(request, error.status_code, message, error.headers or _NONE, plan=plan)


async def _invalid_request(request: Request, error: Exception) -> Response:
    """Respond to invalid query parameters, which pydantic parses; names and digests it does not."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    message = f"{first['loc'][-1]}: {first['msg']}"
    return _unsupported(request, HTTPStatus.BAD_REQUEST, message)


def _unsupported(
    request: Request,
    status: int,
    message: str,
    headers: Mapping[str, str] = _NONE,
    *,
    plan: str = "",
) -> Response:
    message = one_line_for_client(message, _MESSAGE_LIMIT)
    if is_browser(request):
        return error_page(status, message, headers, plan=plan)
    return error_response(request, status, error_body(ErrorCode.UNSUPPORTED, message), headers)


def _log(request: Request, error: RegistryError, status: HTTPStatus) -> None:
    log = logger.bind(code=error.code, status=int(status), path=request.scope["path"])
    if cause := error.__cause__:
        log = log.bind(cause=one_line(f"{type(cause).__name__}: {cause}", _MESSAGE_LIMIT))
    level = "INFO"
    if error.page:
        log = log.bind(build=error.page)
        # A job logs its failure once for all clients.
        level = "INFO" if isinstance(error, StillBuilding) else "DEBUG"
    elif isinstance(error, Unavailable):
        level = "WARNING"
    elif status == HTTPStatus.INTERNAL_SERVER_ERROR:
        level = "ERROR"
    log.log(level, "{}", one_line_for_client(error.message, _MESSAGE_LIMIT))


def _headers(error: RegistryError) -> dict[str, str]:
    match error:
        case TooManyRequests(retry_after=seconds):
            return {"retry-after": str(seconds)}
        case Unavailable():
            return {"retry-after": str(_UNAVAILABLE_SECONDS)}
        case RangeInvalid(size=size):
            return {"content-range": f"bytes */{size}"}
        case ImageUnknown():
            return {"vary": "User-Agent"}
        case _:
            return {}


def _with_page(request: Request, error: RegistryError, status: HTTPStatus) -> str:
    """Return the message with the address of the error's page; only the message is shortened.

    The page of a 404 has no more to show, that of a full queue is not kept, and a server that
    stops loses its pages.
    """
    page = ""
    is_linked = isinstance(error, Refused | StillBuilding)
    if error.page and (is_linked or status == HTTPStatus.INTERNAL_SERVER_ERROR):
        page = f" (see {address(request)}/builds/{error.page})"
    return excerpt_for_client(error.message, _MESSAGE_LIMIT - len(page)) + page


def _presentable(value: object) -> object:
    """Sanitize a value of the detail, which may contain foreign text."""
    match value:
        case str():
            return one_line_for_client(value, _MESSAGE_LIMIT)
        case bool() | int() | float() | None:
            return value
        case dict():
            return {
                one_line_for_client(str(key), 50): _presentable(item) for key, item in value.items()
            }
        case list() | tuple():
            return [_presentable(item) for item in value[:_DETAIL_ITEMS]]
        case _:
            return one_line_for_client(str(value), _MESSAGE_LIMIT)
