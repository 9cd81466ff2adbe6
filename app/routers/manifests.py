"""Manifests: end-3 of the distribution specification, by tag (built) and by digest (stored)."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.builder.builds.manifests import Manifest, ManifestLost
from app.errors import ManifestUnknown
from app.oci import Digest, MediaType
from app.reference import ImageReference, Tag
from app.routers import openapi_headers as headers
from app.routers.clients import architecture_of
from app.routers.dependencies import IMAGE_REFERENCE, image_reference, services
from app.routers.forwarded import client_of
from app.routers.negotiation import choose
from app.routers.responses import (
    IMMUTABLE,
    REVALIDATED,
    add_warnings,
    bytes_response,
    content_headers,
    is_current,
)
from app.routers.schemas import ERROR
from app.routers.waiting import await_build
from app.state import AppState

router = APIRouter(tags=["registry"])

_PATH = "/v2/{name:path}/manifests/{reference}"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The manifest, byte for byte what Docker-Content-Digest covers",
        "content": {
            MediaType.OCI_MANIFEST: {},
            MediaType.OCI_INDEX: {},
            MediaType.DOCKER_MANIFEST: {},
            MediaType.DOCKER_LIST: {},
        },
        "headers": headers.CONTENT | headers.VARY | headers.WARNING,
    },
    304: {
        "description": "If-None-Match names the current digest",
        "headers": headers.CONTENT | headers.VARY | headers.WARNING,
    },
    307: {"description": "Still building: request Location", "headers": headers.LOCATION},
    400: ERROR,
    403: {
        **ERROR,
        "description": "The build failed, a setting refuses it, or no such package or tag"
        " and the client hides the message of a 404",
        "headers": headers.UNKNOWN_IMAGE,
    },
    404: {
        **ERROR,
        "description": "No such package, tag or manifest",
        "headers": headers.UNKNOWN_IMAGE,
    },
    406: {**ERROR, "description": "By tag: layers are zstd, and only schema 2 is accepted"},
    429: {
        **ERROR,
        "description": "Still building, or too many builds; see Retry-After",
        "headers": headers.RETRY_AFTER,
    },
    503: {
        **ERROR,
        "description": "The storage or the package source is not available",
        "headers": headers.RETRY_AFTER,
    },
}
_PARAMETERS = {
    "parameters": [
        *IMAGE_REFERENCE["parameters"],
        {
            "name": "_w",
            "in": "query",
            "description": "How often this request was redirected to itself; Location has it",
            "schema": {"type": "string"},
        },
    ]
}


@router.get(
    _PATH,
    summary="Build or find an image",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=_PARAMETERS,
)
@router.head(
    _PATH,
    summary="The digest of an image",
    responses=_RESPONSES,
    response_class=Response,
    openapi_extra=_PARAMETERS,
)
async def get_manifest(request: Request) -> Response:
    reference = image_reference(request)
    match reference.reference:
        case Digest() as digest:
            return await _stored(request, digest, services(request))
        case Tag(reserved=True):
            raise ManifestUnknown("nothing is attached to this image")
        case Tag():
            return await _built(request, reference, services(request))


async def _stored(request: Request, digest: Digest, state: AppState) -> Response:
    """Return the stored manifest, whatever types the client accepts; never build."""
    manifest = await state.manifests.read(digest)
    return _response(request, manifest, content_headers(digest, IMMUTABLE))


async def _built(request: Request, reference: ImageReference, state: AppState) -> Response:
    try:
        return await _made(request, reference, state)
    except ManifestLost:
        # The manifest was deleted or damaged after its image was built: build it again.
        return await _made(request, reference, state)


async def _made(request: Request, reference: ImageReference, state: AppState) -> Response:
    """Respond with the manifest of a built image.  Raises ManifestLost."""
    architecture = architecture_of(request.headers.get("user-agent", ""))
    pull = state.images.pull(reference, client_of(request.scope), architecture)
    built = await await_build(request, pull, state)
    if isinstance(built, Response):
        return built
    choice = choose(built, request.headers.getlist("accept"), state.architecture)
    digest = choice.document.digest
    manifest = await state.manifests.read(digest)
    fields = {**content_headers(digest, REVALIDATED), "vary": "Accept"}
    response = _response(request, manifest, fields)
    add_warnings(response, (choice.warning, *built.warnings) if choice.warning else built.warnings)
    return response


def _response(request: Request, manifest: Manifest, fields: dict[str, str]) -> Response:
    if is_current(request, manifest.digest):
        return Response(status_code=304, headers=fields)
    return bytes_response(
        request, body=manifest.body, media_type=manifest.media_type, headers=fields
    )
