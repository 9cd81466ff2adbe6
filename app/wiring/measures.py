"""Measurements that run beside the server's work."""

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from app.builder.jobs.job import Job
from app.settings.sections.storage import FilesystemBackend
from app.settings.settings import Settings
from app.system.blocking import blocking
from app.system.workers import Workers
from app.telemetry.measures import DiskSpace, Measures
from app.telemetry.tracing import Traced, Tracing, open_tracing

_STORE = Path("/nix/store")


def open_measures(settings: Settings, stack: AsyncExitStack, workers: Workers) -> Measures:
    """Start to measure the event loop's delay and the disks; leaving the stack ends it."""
    directories = {"state": settings.state_path, "nix-store": _STORE}
    backend = settings.backend
    if isinstance(backend, FilesystemBackend):
        directories["storage"] = backend.path
    measures = Measures(disks=partial(workers.run, _spaces, directories))
    for work in (measures.watch_loop(), measures.watch_disks()):
        stack.push_async_callback(_end, asyncio.create_task(work))
    return measures


def open_traces(settings: Settings, stack: AsyncExitStack, workers: Workers) -> Tracing | None:
    """Return None unless the settings have an endpoint.  Raises Unavailable."""
    if not settings.otlp_endpoint:
        return None
    tracing = open_tracing(settings.otlp_endpoint)
    stack.push_async_callback(workers.run, tracing.close)
    return tracing


def observe_build(measures: Measures, tracing: Tracing | None, outcome: str, job: Job[Any]) -> None:
    """Record a build that has ended."""
    phases = job.progress.phases
    measures.build_ended(outcome, job.seconds, phases.seconds.items())
    if tracing is not None:
        now = time.monotonic()
        attributes = {
            "nixery.image": job.title,
            "nixery.build": job.identifier,
            "nixery.request": job.request,
            "nixery.outcome": outcome,
        }
        work = Traced("build", now - job.seconds, now, attributes, failed=outcome == "failed")
        tracing.record(work, {phase.value: times for phase, times in phases.intervals.items()})


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@blocking
def _spaces(directories: Mapping[str, Path]) -> Mapping[str, DiskSpace]:
    """Leave out a directory that cannot be examined: an alert can report its absence."""
    found: dict[str, DiskSpace] = {}
    for name, directory in directories.items():
        with suppress(OSError):
            status = os.statvfs(directory)
            free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
            found[name] = DiskSpace(free, total)
    return found
