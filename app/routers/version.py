"""The version check: end-1 of the distribution specification."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.routers.responses import bytes_response

router = APIRouter(tags=["registry"])


@router.get(
    "/v2/",
    summary="Whether this is a registry",
    response_class=Response,
    responses={200: {"content": {"application/json": {"example": {}}}}},
)
@router.head("/v2/", summary="Whether this is a registry", response_class=Response)
@router.get("/v2", include_in_schema=False)
@router.head("/v2", include_in_schema=False)
async def get_version(request: Request) -> Response:
    return bytes_response(request, body=b"{}", media_type="application/json", headers={})
