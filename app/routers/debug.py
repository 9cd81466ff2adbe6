"""The state of this process, for its operator and for bug reports."""

from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter

from app.routers.builds import summary_of
from app.routers.dependencies import Services
from app.routers.schemas import BuildCounts, BuildList, Debug, QueueState

router = APIRouter(tags=["operations"])

_SHOWN = 20


@router.get("/debug", summary="Version, settings, counters and builds")
async def get_debug(services: Services) -> Debug:
    about, builds = services.about, services.builds
    return Debug(
        version=about.version,
        started_at=about.started_at,
        uptime_seconds=round((datetime.now(UTC) - about.started_at).total_seconds(), 3),
        settings=dict(about.settings),
        responses=dict(sorted(services.responses.items())),
        counts=BuildCounts(**asdict(builds.counts)),
        activity=dict(services.activity()),
        popularity=None if services.plan is None else len(services.plan.entries),
        queues=[
            QueueState(
                name=stage.name,
                active=stage.active,
                waiting=stage.waiting,
                retry_after=stage.retry_after,
            )
            for stage in services.stages
        ],
        builds=BuildList(
            running=[summary_of(job) for job in builds.running[:_SHOWN]],
            finished=[summary_of(job) for job in builds.finished[:_SHOWN]],
        ),
    )
