"""Traces, received as a collector of OpenTelemetry does."""

import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.builder.jobs.job import Job
from app.builder.jobs.phases import Phase
from app.errors import Unavailable
from app.routers.traced import TracedRequests
from app.settings.settings import Settings
from app.system.workers import Workers
from app.telemetry.measures import Measures
from app.telemetry.tracing import Tracing, open_tracing
from app.wiring.measures import observe_build, open_traces
from tests.collector import Collector, attributes, collecting


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def finished_job(tracing: Tracing) -> Job[str]:
    job: Job[str] = Job(title="shell/git:latest")
    for phase in (Phase.EVALUATE, Phase.PACK):
        with job.progress.phases.running(phase):
            pass
    job.succeed("built")
    observe_build(Measures(), tracing, "succeeded", job)
    return job


@pytest.mark.slow
def test_a_build_is_a_span_with_its_phases(collector: Collector) -> None:
    tracing = open_tracing(collector.url + "/")

    job = finished_job(tracing)
    tracing.close()

    assert set(collector.paths) == {"/v1/traces"}
    build = next(span for span in collector.spans if span.name == "build")
    parts = [span for span in collector.spans if span.parent_span_id == build.span_id]
    assert [span.name for span in parts] == ["evaluate", "pack"]
    assert {span.trace_id for span in parts} == {build.trace_id}
    assert attributes(build)["nixery.build"] == job.identifier
    assert attributes(build)["nixery.image"] == "shell/git:latest"
    assert abs(build.end_time_unix_nano - time.time_ns()) < 60e9
    for span in collector.spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    resource = collector.requests[0].resource_spans[0].resource
    assert attributes(resource)["service.name"] == "nixery"


@pytest.mark.slow
async def test_a_request_is_a_span_with_its_status_and_identifier(collector: Collector) -> None:
    tracing = open_tracing(collector.url)
    app = FastAPI()
    app.add_middleware(TracedRequests, tracing=tracing)

    @app.get("/v2/")
    async def version() -> None:
        return

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("broken")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        await client.get("/v2/")
        await client.get("/v2/shell/manifests/latest")
        await client.get("/broken")
    tracing.close()

    found = [(span.name, attributes(span)["http.response.status_code"]) for span in collector.spans]
    assert found == [("GET /v2", 200), ("GET /v2", 404), ("GET /broken", 500)]
    assert [span.status.code for span in collector.spans] == [0, 0, 2]


@pytest.mark.slow
async def test_paths_that_clients_invent_name_no_spans(collector: Collector) -> None:
    tracing = open_tracing(collector.url)
    app = FastAPI()
    app.add_middleware(TracedRequests, tracing=tracing)
    app.get("/v2/{name:path}")(lambda name: name)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        for path in ("/v2/x", *(f"/made-up-{number}/x" for number in range(20)), "/"):
            await client.get(path)
        await client.get(f"/v2/%1b%5b31m%e2%80%ae{'x' * 5000}")
    tracing.close()

    assert {span.name for span in collector.spans} == {"GET /v2", "GET other"}
    shown = str(attributes(collector.spans[-1])["url.path"])
    assert shown.startswith("/v2/xxx")
    assert len(shown) == 1000


@pytest.mark.slow
def test_a_collector_that_is_down_costs_nothing_but_the_spans() -> None:
    tracing = open_tracing("http://127.0.0.1:9")

    finished_job(tracing)
    tracing.close()


def test_without_the_extra_the_message_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(Unavailable, match=r"install nixery\[otel\]"):
        open_tracing("http://localhost:4318")


@pytest.mark.slow
async def test_traces_are_off_by_default(collector: Collector) -> None:
    async with AsyncExitStack() as stack:
        assert open_traces(Settings(), stack, Workers(1)) is None
        on = Settings.model_validate({"otlp_endpoint": collector.url})
        tracing = open_traces(on, stack, Workers(1))
        assert tracing is not None
        finished_job(tracing)
    assert collector.spans  # sent when the server stops


@pytest.mark.slow
async def test_a_lifespan_is_not_a_request(collector: Collector) -> None:
    tracing = open_tracing(collector.url)
    scopes: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope["type"])

    async def never() -> Message:
        raise AssertionError

    async def drop(_: Message) -> None:
        return

    await TracedRequests(app, tracing=tracing)({"type": "lifespan"}, never, drop)
    tracing.close()

    assert (scopes, collector.spans) == (["lifespan"], [])
