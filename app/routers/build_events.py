"""A running build as server-sent events: its stage, the lines of its log, its end.

Streams are bounded in number and time: browsers connect again, and name the last line they have.
A stream ends when the server stops.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from app.builder.jobs.job import Job
from app.errors import RegistryError, TooManyRequests
from app.routers.builds import clean_log, find_job, progress_of, summary_of
from app.routers.dependencies import Services
from app.routers.forwarded import client_of
from app.routers.responses import HEADLESS
from app.routers.schemas import ERROR
from app.state import AppState, LiveStreams

router = APIRouter(tags=["operations"])

_INTERVAL_SECONDS = 0.5
_SILENT_SECONDS = 15
_LONGEST_SECONDS = 900
_RECONNECT_MILLISECONDS = 2000
# Python refuses to convert a number of thousands of digits.
_POSITION = re.compile(r"[0-9]{1,18}")
_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would hold back the events
    "x-content-type-options": "nosniff",
}


class _Stream(StreamingResponse):
    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], streams: LiveStreams, client: str) -> None:
        super().__init__(events, headers=_HEADERS)
        self._streams = streams
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.counted(self._client):
            await super().__call__(scope, receive, send)


@router.get(
    "/builds/{identifier}/events",
    summary="Follow a build: events state, log, restart and end, with JSON data",
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"},
        404: ERROR,
        429: ERROR,
    },
)
async def get_events(
    request: Request,
    identifier: str,
    services: Services,
    after: Annotated[int, Query(ge=0, description="The lines that the client has")] = 0,
    last_event_id: Annotated[str, Header(description="The same, after a reconnection")] = "",
) -> Response:
    job = find_job(services, identifier)
    if HEADLESS in request.scope:
        # A stream would keep its place until it ends, without sending anything.
        return Response(media_type=_Stream.media_type, headers=_HEADERS)
    client = client_of(request.scope)
    if not services.streams.admits(client):
        raise TooManyRequests("too many clients follow builds; reload the page", retry_after=5)
    position = int(last_event_id) if _POSITION.fullmatch(last_event_id) else after
    return _Stream(_events(job, services, position), services.streams, client)


async def _events(job: Job[Any], services: AppState, position: int) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    end = clock() + _LONGEST_SECONDS
    silent = clock() + _SILENT_SECONDS
    shown: tuple[object, ...] = ()
    yield format_sse_event(retry=_RECONNECT_MILLISECONDS)
    while clock() < end:
        following = _latest(job)
        if following.progress is not job.progress:
            position = 0
            yield _event("restart", {})
        job = following
        await clean_log(job)
        events = []
        if (job.state, job.stage) != shown:
            shown = (job.state, job.stage)
            state = summary_of(job).model_dump(mode="json")
            progress = progress_of(job, services.images.recent).model_dump(mode="json")
            events.append(_event("state", {**state, **progress}))
        if job.progress.position != position:
            lines = job.progress.log_after(position)
            position = job.progress.position
            events.append(_event("log", lines, position))
        if job.finished_at is not None:
            events.append(_event("end", summary_of(job).model_dump(mode="json")))
        if events or clock() >= silent:
            silent = clock() + _SILENT_SECONDS
            yield b"".join(events) or KEEPALIVE_COMMENT
        if job.finished_at is not None or services.jobs.draining:
            return
        await _next(job)


def _latest(job: Job[Any]) -> Job[Any]:
    """Return the job that continues this one."""
    while job.failure is None and isinstance(following := job.result(), Job):
        job = following
    return job


async def _next(job: Job[Any]) -> None:
    """Wait for the end of the job, or until what it wrote is worth an event."""
    try:
        await job.wait(_INTERVAL_SECONDS)
    except RegistryError:
        return  # the next event has it


def _event(name: str, data: object, position: int | None = None) -> bytes:
    return format_sse_event(
        event=name, data_str=json.dumps(data), id=None if position is None else str(position)
    )
