"""The attachments of a manifest: end-12 of the distribution specification.

The list is always empty.  The route exists because clients request a tag after a 404.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.oci import MediaType, canonical_json
from app.routers import openapi_headers as headers
from app.routers.dependencies import CONTENT_DIGEST, content_digest
from app.routers.responses import bytes_response
from app.routers.schemas import ERROR

router = APIRouter(tags=["registry"])

_PATH = "/v2/{name:path}/referrers/{digest}"
_EMPTY = canonical_json({"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": []})
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An image index",
        "content": {MediaType.OCI_INDEX: {}},
        "headers": headers.FILTERS,
    },
    400: ERROR,
}


@router.get(
    _PATH,
    summary="What is attached to it",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=CONTENT_DIGEST,
)
@router.head(
    _PATH,
    summary="Whether the route exists",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=CONTENT_DIGEST,
)
async def get_referrers(
    request: Request,
    artifact_type: Annotated[str | None, Query(alias="artifactType")] = None,
) -> Response:
    content_digest(request)  # raises, as the specification requires 400 for an invalid digest
    filters = {} if artifact_type is None else {"oci-filters-applied": "artifactType"}
    return bytes_response(request, body=_EMPTY, media_type=MediaType.OCI_INDEX, headers=filters)
