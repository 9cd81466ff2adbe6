"""RegistryError to registry error JSON; the only place that knows HTTP statuses of errors."""

import json
import re
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
from app.routers.clients import hides_not_found
from app.routers.dependencies import services_of
from app.routers.responses import add_warnings, answer
from app.state import Pull
from app.text.sanitize import ends, line, sentence

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
# Longer ones would leave no room for the message.
_HOST = re.compile(r"[a-zA-Z0-9.:\[\]_-]{1,100}")
_UNAVAILABLE_SECONDS = 10
_NONE: Mapping[str, str] = MappingProxyType({})


def status_of(error: type[RegistryError]) -> HTTPStatus:
    """An error without a row of its own has its nearest ancestor's."""
    return next(STATUS[ancestor] for ancestor in error.__mro__ if ancestor in STATUS)


def error_body(code: ErrorCode, message: str, detail: Mapping[str, object] = _NONE) -> bytes:
    """``message`` is a sentence already; ``detail`` is cleaned here.

    Exactly one entry: docker and podman read no more (distribution-spec, "Error Codes").
    """
    shown = {sentence(key, 50): _presentable(value) for key, value in detail.items()}
    entry = {"code": code, "message": message, "detail": shown}
    return json.dumps({"errors": [entry]}).encode()


def error_response(
    request: Request, status: int, body: bytes, headers: Mapping[str, str] = _NONE
) -> Response:
    return answer(
        request,
        status=status,
        body=body,
        media_type="application/json",
        headers={"cache-control": "no-store", **headers},
    )


def install(app: FastAPI) -> None:
    app.add_exception_handler(RegistryError, _registry_error)
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)


async def _registry_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RegistryError)
    status = _status_for(request, error)
    _log(request, error, status)
    message = _with_page(request, error, status)
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
    """What the router raises: no such route, no such method."""
    assert isinstance(error, HTTPException)
    message = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
        message = "nothing answers at this address"
    body = error_body(ErrorCode.UNSUPPORTED, sentence(message, _MESSAGE_LIMIT))
    return error_response(request, error.status_code, body, error.headers or _NONE)


async def _invalid_request(request: Request, error: Exception) -> Response:
    """Only query parameters are left to pydantic; names and digests are parsed by ourselves."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    message = f"{first['loc'][-1]}: {first['msg']}"
    body = error_body(ErrorCode.UNSUPPORTED, sentence(message, _MESSAGE_LIMIT))
    return error_response(request, HTTPStatus.BAD_REQUEST, body)


def _log(request: Request, error: RegistryError, status: HTTPStatus) -> None:
    told = logger.bind(code=error.code, status=int(status), path=request.scope["path"])
    if cause := error.__cause__:
        told = told.bind(cause=line(f"{type(cause).__name__}: {cause}", _MESSAGE_LIMIT))
    level = "INFO"
    if build := _build_of(request):
        told = told.bind(build=build)
        # The failure itself was logged when it happened, once for all who are told of it.
        level = "INFO" if isinstance(error, StillBuilding | NotAcceptable) else "DEBUG"
    elif isinstance(error, Unavailable):
        level = "WARNING"
    elif status == HTTPStatus.INTERNAL_SERVER_ERROR:
        level = "ERROR"
    told.log(level, "{}", sentence(error.message, _MESSAGE_LIMIT))


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
    """The message, cut so that the address of the build's page is never what is lost.

    Only where it says more: a 404 says all there is to say, who found a queue full has no page,
    and a server that stops takes its pages along.
    """
    page = ""
    build = _build_of(request)
    said_more = isinstance(error, Refused | StillBuilding)
    if build and (said_more or status == HTTPStatus.INTERNAL_SERVER_ERROR):
        page = f" (see {_address(request)}/builds/{build})"
    return ends(error.message, _MESSAGE_LIMIT - len(page)) + page


def _address(request: Request) -> str:
    """As its operator says; else as this client reached us, which nobody but it is told."""
    host = request.headers.get("host", "")
    named = f"{request.scope['scheme']}://{host}" if _HOST.fullmatch(host) else ""
    return services_of(request.app).external_url or named


def _build_of(request: Request) -> str:
    job: Pull | None = getattr(request.state, "build", None)
    return job.identifier if job else ""


def _presentable(value: object) -> object:
    """Details come from where messages come from, and are cleaned like them."""
    match value:
        case str():
            return sentence(value, _MESSAGE_LIMIT)
        case bool() | int() | float() | None:
            return value
        case dict():
            return {sentence(str(key), 50): _presentable(item) for key, item in value.items()}
        case list() | tuple():
            return [_presentable(item) for item in value[:_DETAIL_ITEMS]]
        case _:
            return sentence(str(value), _MESSAGE_LIMIT)
