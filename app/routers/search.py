"""Package names, for people and for programs that write image names."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.dependencies import Services
from app.routers.documents import ERROR, SearchResult

# 403 where the package set cannot be evaluated, 429 while too many others are listed.
_ERRORS: dict[int | str, dict[str, object]] = dict.fromkeys((400, 403, 429, 503), ERROR)

router = APIRouter(prefix="/api", tags=["packages"])


@router.get("/search", summary="Find packages by name", responses=_ERRORS)
async def get_search(
    services: Services,
    q: Annotated[str, Query(min_length=1, max_length=100, description="Part of a name")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SearchResult:
    return SearchResult(query=q, packages=list(await services.search(q, limit)))
