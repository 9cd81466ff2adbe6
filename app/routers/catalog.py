"""The repositories built so far: an extension of the distribution registry, off by default."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.routers import openapi_headers as headers
from app.routers.dependencies import Services
from app.routers.pagination import Pagination
from app.routers.responses import bytes_response
from app.routers.schemas import ERROR, Catalog

router = APIRouter(tags=["registry"])

_PATH = "/v2/_catalog"
_ERRORS: dict[int | str, dict[str, Any]] = {400: ERROR, 404: ERROR}
_RESPONSES = {200: {"model": Catalog, "headers": headers.LINK}, **_ERRORS}


@router.get(_PATH, summary="Repositories built so far", responses=_RESPONSES)
@router.head(
    _PATH,
    summary="Whether the list is enabled",
    responses={200: {"headers": headers.LINK}, **_ERRORS},
    response_class=Response,
)
async def get_catalog(request: Request, page: Pagination, services: Services) -> Response:
    if not services.catalog:
        raise HTTPException(404, "the catalog is switched off here")
    names, link = page.of(await services.images.repositories(), _PATH)
    return bytes_response(
        request,
        body=json.dumps({"repositories": names}).encode(),
        media_type="application/json",
        headers=link,
    )
