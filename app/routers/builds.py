"""Pages of builds, which the short messages of clients link to.

containerd before 2.3.3 prints only the status of a failed pull, so the list finds a build by its
image.
"""

import asyncio
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.exceptions import HTTPException

from app.builder.builds.recent import RecentImages
from app.builder.images.image import Built
from app.builder.jobs.job import Job
from app.builder.jobs.phases import remaining_seconds
from app.errors import BuildFailed
from app.routers.dependencies import Services
from app.routers.schemas import ERROR, Build, BuildList, BuildProgress, BuildSummary, PhaseTime
from app.routers.web.rendering import document, is_browser, page
from app.state import AppState
from app.text.sanitize import one_line, one_line_for_client

router = APIRouter(tags=["operations"])

_LINE_LIMIT = 500
_SHOWN = 100
_CLEANED_AT_ONCE = 50  # lines of a log, between two turns of the event loop


@router.get(
    "/builds",
    summary="Running and recent builds",
    response_model=BuildList,
    responses={200: {"content": {"text/html": {}}}},
)
@router.get("/api/builds", summary="Running and recent builds, as JSON", response_model=BuildList)
async def get_builds(
    request: Request,
    services: Services,
    image: Annotated[str, Query(description="Only images whose name contains this")] = "",
) -> Response:
    running, finished = (
        list(islice((summary_of(job) for job in jobs if image in job.title), _SHOWN))
        for jobs in (services.jobs.running, services.jobs.finished)
    )
    builds = BuildList(running=running, finished=finished)
    if is_browser(request):
        return page("builds.html", builds=builds, image=image)
    return document(builds.model_dump_json())


@router.get(
    "/builds/{identifier}",
    summary="One build, with its log",
    response_model=Build,
    responses={200: {"content": {"text/html": {}}}, 404: ERROR},
)
async def get_build(request: Request, identifier: str, services: Services) -> Response:
    job = find_job(services, identifier)
    await clean_log(job)
    build = _build_of(job, services.images.recent)
    if is_browser(request):
        return page("build.html", build=build, position=job.progress.position)
    return document(build.model_dump_json())


def find_job(services: AppState, identifier: str) -> Job[Any]:
    """Return the job of a page.  Raises HTTPException."""
    job = services.jobs.find(identifier)
    if job is None:
        raise HTTPException(
            404,
            "no such build; pages are kept for the latest builds and for failures that are still cached",
        )
    return job


async def clean_log(job: Job[Any]) -> None:
    """Make the log fit to be shown, a part in each turn of the event loop."""
    while not job.progress.clean(_CLEANED_AT_ONCE):  # noqa: ASYNC110  # work, not waiting
        await asyncio.sleep(0)


def summary_of(job: Job[Built]) -> BuildSummary:
    return BuildSummary(
        id=job.identifier,
        image=job.title,
        state=job.state,
        stage=job.progress.stage,
        message=one_line_for_client(job.failure.message, _LINE_LIMIT) if job.failure else "",
        started_at=job.started_at,
        finished_at=job.finished_at,
        seconds=round(job.seconds, 3),
        page=f"/builds/{job.identifier}",
        request=job.request,
    )


def progress_of(job: Job[Any], recent: RecentImages) -> BuildProgress:
    """Return the times of the phases, and an estimate for a running build."""
    phases = job.progress.phases
    samples = recent.samples(job.title) if job.finished_at is None else ()
    left = remaining_seconds(phases, samples)
    return BuildProgress(
        phases=[
            PhaseTime(phase=phase, seconds=round(took, 3), running=phase in phases.current)
            for phase, took in phases.seconds.items()
        ],
        remaining_seconds=None if left is None else round(left, 1),
        estimated_from=len(samples),
    )


def _build_of(job: Job[Built], recent: RecentImages) -> Build:
    failure = job.failure.exception() if job.failure else None
    failed = failure if isinstance(failure, BuildFailed) else None
    return Build(
        **summary_of(job).model_dump(),
        **progress_of(job, recent).model_dump(),
        derivation=failed.derivation if failed else "",
        failure_log=[one_line(text, _LINE_LIMIT) for text in failed.log] if failed else [],
        log=list(job.progress.log),
    )
