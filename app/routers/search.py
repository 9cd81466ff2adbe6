"""Search for package names, for people and for programs that complete image names."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.routers.dependencies import Services
from app.routers.forwarded import client_of
from app.routers.schemas import ERROR, SearchResult

# 403 if the package set cannot be evaluated, 404 if the source does not exist, 429 if too many
# package sets are being listed, or too many searches wait.
_ERRORS: dict[int | str, dict[str, object]] = dict.fromkeys((400, 403, 404, 429, 503), ERROR)

SearchText = Annotated[
    str,
    Query(
        min_length=1,
        max_length=100,
        description="Part of a name, or an image name whose last component is not finished:"
        " `shell/ht`; its first may name a source",
    ),
]

router = APIRouter(prefix="/api", tags=["packages"])


@router.get("/search", summary="Find packages by name", responses=_ERRORS)
async def get_search(
    request: Request,
    services: Services,
    q: SearchText,
    source: Annotated[
        str | None,
        Query(min_length=1, max_length=64, description="Name of a source, as in the settings"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SearchResult:
    found = await services.search(q, limit, source, client_of(request.scope))
    return SearchResult(query=q, source=found.source, packages=list(found.names))
