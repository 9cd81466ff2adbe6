"""What is attached to a manifest: end-12 of the distribution specification.

Nothing is, and saying so is worth a route: after a 404 every client asks for a tag instead.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.dependencies import ContentDigest
from app.oci import MediaType, canonical_json
from app.routers.documents import ERROR
from app.routers.responses import answer

router = APIRouter(tags=["registry"])

_PATH = "/v2/{name:path}/referrers/{digest}"
_EMPTY = canonical_json({"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": []})
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "An image index", "content": {MediaType.OCI_INDEX: {}}},
    400: ERROR,
}


@router.get(_PATH, summary="What is attached to it", responses=_RESPONSES, response_class=Response)
@router.head(_PATH, include_in_schema=False)
async def get_referrers(
    request: Request,
    digest: ContentDigest,  # noqa: ARG001 - parsed for the 400 the specification asks for
    artifact_type: Annotated[str | None, Query(alias="artifactType")] = None,
) -> Response:
    headers = {} if artifact_type is None else {"oci-filters-applied": "artifactType"}
    return answer(request, body=_EMPTY, media_type=MediaType.OCI_INDEX, headers=headers)
