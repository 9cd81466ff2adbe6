"""The state of this process, for operators and bug reports."""

import time
from dataclasses import asdict

from fastapi import APIRouter

from app.routers.builds import summary_of
from app.routers.dependencies import Services
from app.routers.schemas import BuildCounts, BuildList, Debug, QueueState

router = APIRouter(tags=["operations"])

_SHOWN = 20


@router.get("/debug", summary="Version, settings, counters and builds")
async def get_debug(services: Services) -> Debug:
    about, jobs = services.about, services.jobs
    return Debug(
        version=about.version,
        started_at=about.started_at,
        uptime_seconds=round(time.monotonic() - about.begun, 3),
        settings=dict(about.settings),
        responses=dict(sorted(services.responses.items())),
        counts=BuildCounts(**asdict(jobs.counts)),
        activity=dict(services.activity()),
        plan=about.plan,
        queues=[
            QueueState(
                name=queue.name,
                active=queue.active,
                waiting=queue.waiting,
                retry_after=queue.retry_after,
            )
            for queue in services.queues
        ],
        builds=BuildList(
            running=[summary_of(job) for job in jobs.running[:_SHOWN]],
            finished=[summary_of(job) for job in jobs.finished[:_SHOWN]],
        ),
    )
