"""What a pull would take, before it: closure, layers, sizes, and what would be built.

These routes evaluate names as a pull does, and build, download and pack nothing.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.builder.builds.preview import Place
from app.errors import StillBuilding
from app.reference import LATEST, TAG_PATTERN, ImageReference, RepositoryName, Tag
from app.routers.address import registry_host
from app.routers.dependencies import Repository, Services
from app.routers.forwarded import client_of
from app.routers.plan_documents import plan_of
from app.routers.plan_schemas import ImagePlan
from app.routers.schemas import ERROR
from app.routers.web.rendering import page
from app.state import AppState

router = APIRouter(tags=["packages"])
pages = APIRouter(include_in_schema=False)

# 403 if the package set cannot be evaluated, 429 if the queue is full or the evaluation is slow.
_ERRORS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 403, 404, 429, 503), ERROR)
_TAG = {"pattern": f"^{TAG_PATTERN}$"}
# Proxies give up after a minute.
_SECONDS = 50


@router.get(
    "/api/plan/{name:path}",
    summary="What a pull would take: closure, layers, sizes, builds; nothing is built",
    responses=_ERRORS,
)
async def get_plan(
    request: Request,
    name: Repository,
    services: Services,
    tag: Annotated[str, Query(json_schema_extra=_TAG)] = LATEST,
) -> ImagePlan:
    return await _plan(request, services, name, Tag.parse(tag))


@pages.get("/plan/{image:path}")
async def get_plan_page(request: Request, image: str, services: Services) -> Response:
    name, _, tag = image.partition(":")
    plan = await _plan(request, services, RepositoryName.parse(name), Tag.parse(tag or LATEST))
    return page("plan.html", plan=plan, host=registry_host(request), places=list(Place))


async def _plan(request: Request, services: AppState, name: RepositoryName, tag: Tag) -> ImagePlan:
    job = services.images.preview(ImageReference(name, tag), client_of(request.scope))
    preview = await job.wait(_SECONDS)
    if preview is None:
        raise StillBuilding("the packages are still being evaluated; try again", retry_after=5)
    return plan_of(name, tag, preview)
