"""Tags of a repository: end-8 of the distribution specification."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.dependencies import Repository, Services
from app.routers.documents import ERROR, TagList
from app.routers.pagination import Pagination
from app.routers.responses import answer

router = APIRouter(tags=["registry"])

_PATH = "/v2/{name:path}/tags/list"
_RESPONSES: dict[int | str, dict[str, Any]] = {200: {"model": TagList}, 400: ERROR, 404: ERROR}


@router.get(_PATH, summary="Tags it may be pulled with", responses=_RESPONSES)
@router.head(_PATH, include_in_schema=False)
async def get_tags(
    request: Request, name: Repository, page: Pagination, services: Services
) -> Response:
    tags, headers = page.of(await services.images.tags(name), f"/v2/{name}/tags/list")
    return answer(
        request,
        body=json.dumps({"name": str(name), "tags": tags}).encode(),
        media_type="application/json",
        headers=headers,
    )
