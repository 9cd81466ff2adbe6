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
from app.telemetry.lookups import CACHE_REQUESTS, LOG, LOOKUPS, STORED
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
        yield from families(self._state, self._disks)
        for histogram in self._state.measures.histograms:
            for metric in histogram.collect():
                # The times of creation belong to another format: here they are series of their own.
                metric.samples = [
                    one for one in metric.samples if one.name != f"{metric.name}_created"
                ]
                yield metric


def families(state: AppState, disks: Mapping[str, DiskSpace]) -> Iterator[Metric]:
    """Yield all series but the histograms."""
    yield from _served(state)
    yield from _builds(state)
    yield from _work(state)
    yield _stored()
    yield _log()
    yield from _space(disks)


def _served(state: AppState) -> Iterator[Metric]:
    statuses = ((str(status), count) for status, count in sorted(state.responses.items()))
    meaning = "Responses by HTTP status; 307 are redirects of clients that wait for a build"
    yield _counter("nixery_responses", meaning, "status", statuses)
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
    meaning = "Builds that ended: succeeded, failed, or found everything done"
    yield _counter("nixery_builds", meaning, "outcome", outcomes)
    requests = (
        ("started", counts.started),
        ("joined", counts.joined),
        ("remembered", counts.remembered),
    )
    meaning = (
        "Requests of images by tag: a job was started, its job was running (joined),"
        " or the outcome was in memory (remembered)"
    )
    yield _counter("nixery_pulls", meaning, "result", requests)
    running = GaugeMetricFamily("nixery_builds_running", "Builds that run now")
    running.add_metric((), len(state.jobs.running))
    yield running
    stopping = GaugeMetricFamily("nixery_stopping", "1 while the server finishes its last builds")
    stopping.add_metric((), state.jobs.draining)
    yield stopping


def _work(state: AppState) -> Iterator[Metric]:
    active = GaugeMetricFamily("nixery_queue_active", "Work that runs, by queue", labels=("queue",))
    waiting = GaugeMetricFamily(
        "nixery_queue_waiting", "Work that waits, by queue", labels=("queue",)
    )
    for queue in state.queues:
        active.add_metric((queue.name,), queue.active)
        waiting.add_metric((queue.name,), queue.waiting)
    yield active
    yield waiting
    meaning = (
        "Nix programs started (nix.*), evaluations by processes that stay (evaluators.answered),"
        " store paths packed and bytes compressed (packing.*); also the series of lookups and of"
        " stored bytes (lookups.*, stored.*)"
    )
    yield _counter("nixery_activity", meaning, "kind", state.activity().items())
    outcomes = sorted(CACHE_REQUESTS.items())
    meaning = "Requests of narinfos to binary caches: found, absent or failed"
    yield _counter("nixery_cache_requests", meaning, "outcome", outcomes)
    meaning = (
        "Lookups in the server's caches: images (whole images in memory) and the kinds of records;"
        " found in memory or in the storage, or absent"
    )
    lookups = CounterMetricFamily("nixery_lookups", meaning, labels=("kind", "result"))
    for (kind, result), count in sorted(LOOKUPS.items()):
        lookups.add_metric((kind, result), count)
    yield lookups


def _stored() -> Metric:
    meaning = "Bytes written to the storage: layers, documents (manifests and configs) and records"
    return _counter("nixery_stored_bytes", meaning, "kind", sorted(STORED.items()))


def _log() -> Metric:
    dropped = CounterMetricFamily(
        "nixery_log_dropped_lines", "Lines of the log that were dropped: it was not read in time"
    )
    dropped.add_metric((), LOG["dropped"])
    return dropped


def _space(disks: Mapping[str, DiskSpace]) -> Iterator[Metric]:
    free = GaugeMetricFamily(
        "nixery_disk_free_bytes",
        "Free space where the server writes: storage (unless in a bucket), state, nix-store",
        labels=("directory",),
    )
    total = GaugeMetricFamily(
        "nixery_disk_size_bytes", "Size of the disk of each directory", labels=("directory",)
    )
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
