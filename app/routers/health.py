"""Probes: alive (instant) and ready (checks disks and required programs)."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from app.routers.dependencies import Services
from app.routers.schemas import CheckResult, Health, Readiness
from app.text.sanitize import one_line_for_client

router = APIRouter(tags=["operations"])

_PROBLEM_LIMIT = 300
_HEALTHY = Health(status="ok").model_dump_json()


@router.get("/healthz", summary="The process serves requests", response_model=Health)
async def get_health(_: Request) -> Response:
    return Response(_HEALTHY, media_type="application/json")


@router.get(
    "/readyz",
    summary="The server can build and serve images",
    responses={503: {"model": Readiness, "description": "A requirement is not available"}},
)
async def get_readiness(services: Services, response: Response) -> Readiness:
    checks = [
        CheckResult(
            name=result.name,
            ok=not result.problem,
            problem=one_line_for_client(result.problem, _PROBLEM_LIMIT),
        )
        for result in await services.readiness.results()
    ]
    ready = all(check.ok for check in checks) and not services.jobs.draining
    if not ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(ready=ready, stopping=services.jobs.draining, checks=checks)
