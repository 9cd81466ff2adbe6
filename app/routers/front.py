"""Pages for people: the front page, the search, and the description of the API.

They work without scripts; the description of the API is an outline then.
"""

from fastapi import APIRouter, Request, Response

from app.reference import NAME
from app.routers.address import needs_insecure, registry_host
from app.routers.builds import summary_of
from app.routers.dependencies import Services
from app.routers.forwarded import client_of
from app.routers.search import SearchText
from app.routers.web.api_outline import operations
from app.routers.web.rendering import STYLED, page

router = APIRouter(include_in_schema=False)
front = APIRouter(include_in_schema=False)

_SHOWN = 12
_FOUND = 50


@front.get("/")
async def get_front(request: Request, services: Services) -> Response:
    jobs = services.jobs
    recent = [f"{one.name}:{one.tag}" for one in await services.images.recent.latest(_SHOWN)]
    return page(
        "front.html",
        host=registry_host(request),
        insecure=needs_insecure(request),
        running=[summary_of(job) for job in jobs.running[:_SHOWN]],
        recent=recent,
    )


@router.get("/search")
async def get_search_page(request: Request, services: Services, q: SearchText) -> Response:
    found = await services.search(q, _FOUND, None, client_of(request.scope))
    before = q.rpartition("/")[0]
    prefix = f"{before}/" if NAME.fullmatch(before) else ""
    return page(
        "search.html",
        host=registry_host(request),
        query=q,
        source=found.source,
        packages=[(name, (prefix + name).lower()) for name in found.names],
    )


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    described = tuple(operations(request.app.openapi()))
    return page("docs.html", headers=STYLED, operations=described)
