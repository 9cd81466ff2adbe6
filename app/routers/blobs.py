"""Layers and configs: end-2 of the distribution specification; this route never builds."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.errors import BlobUnknown
from app.oci import Digest
from app.routers import openapi_headers as headers
from app.routers.blob_response import blob_response, close
from app.routers.dependencies import CONTENT_DIGEST, content_digest, services
from app.routers.schemas import ERROR
from app.storage.base import Location

router = APIRouter(tags=["registry"])

_PATH = "/v2/{name:path}/blobs/{digest}"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The blob",
        "content": {"application/octet-stream": {}},
        "headers": headers.CONTENT | headers.ACCEPT_RANGES,
    },
    206: {
        "description": "The requested range",
        "content": {"application/octet-stream": {}},
        "headers": headers.CONTENT | headers.ACCEPT_RANGES | headers.CONTENT_RANGE,
    },
    304: {"description": "If-None-Match names this digest", "headers": headers.CONTENT},
    307: {
        "description": "The object store has it, at Location",
        "headers": headers.CONTENT | headers.LOCATION,
    },
    400: ERROR,
    404: ERROR,
    416: {
        **ERROR,
        "description": "No byte of the requested range exists",
        "headers": headers.SIZE,
    },
    503: {**ERROR, "description": "The storage is not available", "headers": headers.RETRY_AFTER},
}


@router.get(
    _PATH,
    summary="A layer or config",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=CONTENT_DIGEST,
)
@router.head(
    _PATH,
    summary="Its size",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=CONTENT_DIGEST,
)
async def get_blob(request: Request) -> Response:
    digest = content_digest(request)
    state = services(request)
    try:
        location = await state.blobs.locate(digest)
        _check(digest, location, state.existence.size(digest))
    except BlobUnknown:
        state.existence.invalidate(digest)
        raise
    return blob_response(request, digest, location)


def _check(digest: Digest, location: Location, expected: int | None) -> None:
    """Raise BlobUnknown for a truncated blob, which clients would request again and again."""
    size = location.size
    if expected is not None and size != expected:
        close(location)
        raise BlobUnknown(
            f"the stored blob {digest} is damaged: it has {size} bytes instead of {expected};"
            " pull by tag to have it made again"
        )
