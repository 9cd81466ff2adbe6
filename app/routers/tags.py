"""Tags of a repository: end-8 of the distribution specification."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.routers import openapi_headers as headers
from app.routers.dependencies import Repository, Services
from app.routers.pagination import Pagination
from app.routers.responses import bytes_response
from app.routers.schemas import ERROR, TagList

router = APIRouter(tags=["registry"])

_PATH = "/v2/{name:path}/tags/list"
_ERRORS: dict[int | str, dict[str, Any]] = {400: ERROR, 404: ERROR}
_RESPONSES = {200: {"model": TagList, "headers": headers.LINK}, **_ERRORS}


@router.get(_PATH, summary="Tags that can be pulled", responses=_RESPONSES)
@router.head(
    _PATH,
    summary="Whether there are any",
    responses={200: {"headers": headers.LINK}, **_ERRORS},
    response_class=Response,
)
async def get_tags(
    request: Request, name: Repository, page: Pagination, services: Services
) -> Response:
    known = await services.images.tags(name, after=page.last, most=page.count + 1)
    tags, link = page.of(known, f"/v2/{name}/tags/list")
    return bytes_response(
        request,
        body=json.dumps({"name": str(name), "tags": tags}).encode(),
        media_type="application/json",
        headers=link,
    )
