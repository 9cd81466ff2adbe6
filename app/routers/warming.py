"""Builds that a client starts without a pull, so that later pulls do not wait."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app.reference import ImageReference
from app.routers.clients import architecture_of
from app.routers.dependencies import Services
from app.routers.forwarded import client_of
from app.routers.image_schemas import BuildRequest, BuildStarted
from app.routers.openapi_headers import LOCATION
from app.routers.schemas import ERROR

router = APIRouter(tags=["packages"])

_BODY_LIMIT = 4096
# Most images that are stored are found in this time.
_FIND_SECONDS = 0.2
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": BuildRequest.model_json_schema()}},
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": BuildStarted, "description": "It is built already", "headers": LOCATION},
    202: {"model": BuildStarted, "description": "It is being built", "headers": LOCATION},
    **dict.fromkeys((400, 403, 404, 413, 429, 503), ERROR),
}


@router.post(
    "/api/builds",
    summary="Build an image that will be pulled later",
    status_code=202,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def post_build(request: Request, services: Services) -> Response:
    """The build has the same queues and shares as that of a pull."""
    reference = ImageReference.to_build((await _body(request)).image)
    architecture = architecture_of(request.headers.get("user-agent", ""))
    pull = services.images.pull(reference, client_of(request.scope), architecture)
    built = await pull.wait(_FIND_SECONDS)
    started = BuildStarted(
        image=pull.title,
        done=built is not None,
        page=f"/images/{pull.title}" if built else f"/builds/{pull.identifier}",
    )
    return Response(
        started.model_dump_json(),
        200 if built else 202,
        {"location": started.page, "cache-control": "no-store"},
        media_type="application/json",
    )


@router.api_route(
    "/api/builds",
    methods=["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"],
    include_in_schema=False,
)
async def refuse_method() -> Response:
    """Refuse other methods.  The framework's Allow would name the methods of one route only."""
    raise HTTPException(405, headers={"allow": "GET, HEAD, POST"})


async def _body(request: Request) -> BuildRequest:
    """Parse the body of a request.

    Raises HTTPException for a longer body than any image needs, RequestValidationError.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BODY_LIMIT:
            raise HTTPException(413, f"the body has more than {_BODY_LIMIT} bytes")
    try:
        return BuildRequest.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_context=False, include_input=False, include_url=False)
        located = [{**one, "loc": ("body", *one["loc"])} for one in found]
        raise RequestValidationError(located) from None
