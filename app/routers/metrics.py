"""Counters and gauges for Prometheus: the values of ``/debug`` and what ``Measures`` has."""

from collections.abc import Iterable, Iterator, Mapping

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.routers.dependencies import Services
from app.state import AppState
from app.telemetry.lookups import CACHE_REQUESTS, LOOKUPS
from app.telemetry.measures import DiskSpace

router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_PLAIN_0_0_4: {"schema": {"type": "string"}}}}},
)
async def get_metrics(services: Services) -> Response:
    disks = await services.measures.disks()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_State(services, disks))
    ProcessCollector(registry=registry)
    body = generate_latest(registry)
    return Response(body, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})


class _State(Collector):
    def __init__(self, state: AppState, disks: Mapping[str, DiskSpace]) -> None:
        self._state = state
        self._disks = disks

    def collect(self) -> Iterator[Metric]:
        yield from _served(self._state)
        yield from _builds(self._state)
        yield from _work(self._state)
        yield from _space(self._disks)
        for histogram in self._state.measures.histograms:
            yield from histogram.collect()


def _served(state: AppState) -> Iterator[Metric]:
    statuses = ((str(status), count) for status, count in sorted(state.responses.items()))
    yield _counter("nixery_responses", "Responses, by status", "status", statuses)
    sent = CounterMetricFamily("nixery_sent_bytes", "Bytes of response bodies")
    sent.add_metric((), state.sent.bytes)
    yield sent
    started = GaugeMetricFamily("nixery_start_time_seconds", "When the server started")
    started.add_metric((), state.about.started_at.timestamp())
    yield started
    about = GaugeMetricFamily("nixery_info", "The version of the server", labels=("version",))
    about.add_metric((state.about.version,), 1)
    yield about


def _builds(state: AppState) -> Iterator[Metric]:
    counts = state.jobs.counts
    outcomes = (
        ("succeeded", counts.succeeded),
        ("failed", counts.failed),
        ("found", counts.found),
    )
    yield _counter("nixery_builds", "Builds that ended", "outcome", outcomes)
    requests = (
        ("started", counts.started),
        ("joined", counts.joined),
        ("remembered", counts.remembered),
    )
    yield _counter("nixery_pulls", "Requests of images by tag", "result", requests)
    running = GaugeMetricFamily("nixery_builds_running", "Builds that run now")
    running.add_metric((), len(state.jobs.running))
    yield running
    stopping = GaugeMetricFamily("nixery_stopping", "1 while the server finishes its last builds")
    stopping.add_metric((), state.jobs.draining)
    yield stopping


def _work(state: AppState) -> Iterator[Metric]:
    active = GaugeMetricFamily("nixery_queue_active", "Work that runs", labels=("queue",))
    waiting = GaugeMetricFamily("nixery_queue_waiting", "Work that waits", labels=("queue",))
    for queue in state.queues:
        active.add_metric((queue.name,), queue.active)
        waiting.add_metric((queue.name,), queue.waiting)
    yield active
    yield waiting
    yield _counter("nixery_activity", "Work since the start", "kind", state.activity().items())
    outcomes = sorted(CACHE_REQUESTS.items())
    yield _counter("nixery_cache_requests", "Requests to binary caches", "outcome", outcomes)
    lookups = CounterMetricFamily(
        "nixery_lookups", "Lookups in the server's caches", labels=("kind", "result")
    )
    for (kind, result), count in sorted(LOOKUPS.items()):
        lookups.add_metric((kind, result), count)
    yield lookups


def _space(disks: Mapping[str, DiskSpace]) -> Iterator[Metric]:
    free = GaugeMetricFamily("nixery_disk_free_bytes", "Free space", labels=("directory",))
    total = GaugeMetricFamily("nixery_disk_size_bytes", "Size of the disk", labels=("directory",))
    for name, space in disks.items():
        free.add_metric((name,), space.free)
        total.add_metric((name,), space.total)
    yield free
    yield total


def _counter(name: str, text: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in values:
        family.add_metric((value,), count)
    return family
