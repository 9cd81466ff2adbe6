"""Checks and headers for all requests, around routing.

This is plain ASGI: Starlette's middleware class runs the request in a task of its own, which
costs more than a manifest and cancels work that should go on.
"""

from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import Response
from loguru import logger
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ErrorCode
from app.routers.dependencies import services_of
from app.routers.errors import error_body, error_response
from app.routers.forwarded import FORWARDED_ID
from app.routers.responses import HEADLESS
from app.telemetry.request_id import REQUEST_ID, new_request_id

_API_VERSION = (b"docker-distribution-api-version", b"registry/2.0")
# A cached probe or list would be out of date.
_REVALIDATED = (b"cache-control", b"no-cache")
_READING = frozenset({"GET", "HEAD"})
# A client may add that of a redirect to the one it has, and each of several mirrors its own.
_MAY_REPEAT = frozenset({"_w", "ns"})
_READ_ONLY = error_body(
    ErrorCode.UNSUPPORTED,
    "this registry is read-only: images are built from their names, not pushed",
)
_ESCAPED = error_body(
    ErrorCode.NAME_INVALID,
    "names, tags and digests contain nothing that needs percent-encoding",
)
_MOST_PARAMETERS = 64
_TOO_MANY = error_body(ErrorCode.UNSUPPORTED, "a query has at most 64 parameters")
_REPEATED = error_body(ErrorCode.UNSUPPORTED, "each parameter of a query may be given once")


class Gate:
    """ASGI middleware in front of all routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        registry = path.startswith("/v2/") or path == "/v2"
        services = services_of(scope["app"])
        responses, sent = services.responses, services.sent
        started = False
        request_id: str = scope.get(FORWARDED_ID) or new_request_id()
        token = REQUEST_ID.set(request_id)
        # The registry's routes handle HEAD themselves: a HEAD is never redirected to storage.
        headless = scope["method"] == "HEAD" and not registry
        if headless:
            scope = {**scope, "method": "GET", HEADLESS: True}

        async def respond(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                responses[message["status"]] += 1
                headers = list(message["headers"])
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append(_REVALIDATED)
                if registry:
                    headers.append(_API_VERSION)
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers
            elif headless:
                message = {**message, "body": b""}
            else:
                # A file that the kernel sends has a count.
                sent.bytes += message.get("count") or len(message.get("body", b""))
            await send(message)

        try:
            refusal = (_refusal(scope) if registry else None) or _refused_query(scope)
            with suppress(ClientDisconnect):  # before it had sent the request's body
                await (refusal or self._app)(scope, receive, respond)
        except Exception as error:  # noqa: BLE001  # the client gets a registry's response to any error
            logger.opt(exception=error).error("{} {} failed unexpectedly", scope["method"], path)
            if started:
                return  # the server closes the connection, so the response is not taken as complete
            body = error_body(ErrorCode.UNKNOWN, "internal error")
            response = error_response(Request(scope), HTTPStatus.INTERNAL_SERVER_ERROR, body)
            await response(scope, receive, respond)
        finally:
            REQUEST_ID.reset(token)


def _refusal(scope: Scope) -> Response | None:
    if scope["method"] not in _READING:
        headers = {"allow": "GET, HEAD"}
        if _has_body(scope["headers"]):
            # The body is not read, so the connection cannot be reused.
            headers["connection"] = "close"
        return error_response(Request(scope), HTTPStatus.METHOD_NOT_ALLOWED, _READ_ONLY, headers)
    if b"%" in scope["raw_path"]:
        # Routes match the decoded path, in which an escaped slash looks like a real one.
        return error_response(Request(scope), HTTPStatus.BAD_REQUEST, _ESCAPED)
    return None


def _refused_query(scope: Scope) -> Response | None:
    """Refuse a parameter that is given twice: the framework would ignore all but the last.

    Parsing a long query would delay other clients.
    """
    query: bytes = scope["query_string"]
    separators = query.count(b"&")
    if separators == 0:
        return None
    if separators >= _MOST_PARAMETERS:
        return error_response(Request(scope), HTTPStatus.BAD_REQUEST, _TOO_MANY)
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    names = [name for name, _ in given if name not in _MAY_REPEAT]
    if len(names) == len(set(names)):
        return None
    return error_response(Request(scope), HTTPStatus.BAD_REQUEST, _REPEATED)


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )
