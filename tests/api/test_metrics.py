"""What Prometheus reads."""

import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.lookups import Result, as_activity, count_cache_request, count_lookups
from app.telemetry.measures import DiskSpace, Measures
from tests.api.registry import Registry

LATEST = "/v2/shell/git/manifests/latest"


async def scraped(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """Samples by name and the values of their labels."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_responses_and_their_bytes_are_counted(client: httpx.AsyncClient) -> None:
    before = await scraped(client)
    body = (await client.get(LATEST)).content
    await client.head(LATEST)
    missing = await client.get("/v2/nonesuch/manifests/latest")

    after = await scraped(client)

    def grown(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert grown("nixery_responses_total", "200") == 3  # with the scrape before
    assert grown("nixery_responses_total", "404") == 1
    assert grown("nixery_sent_bytes_total") > len(body) + len(missing.content)


async def test_builds_are_counted_by_their_outcome_as_in_debug(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    for name in ("shell/git", "shell/git", "nonesuch"):
        await client.get(f"/v2/{name}/manifests/latest")

    found = await scraped(client)
    counts = (await client.get("/debug")).json()["counts"]

    for outcome in ("succeeded", "failed", "found"):
        assert found["nixery_builds_total", outcome] == counts[outcome]
    for result in ("started", "joined", "remembered"):
        assert found["nixery_pulls_total", result] == counts[result]
    assert found["nixery_builds_total", "failed"] == 1
    assert found["nixery_builds_running",] == 0


async def test_queues_and_activity_have_their_names(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    await client.get(LATEST)

    found = await scraped(client)

    assert found["nixery_queue_active", "evaluation"] == 0
    assert found["nixery_queue_waiting", "evaluation"] == 0
    assert found["nixery_activity_total", "nix.evaluate"] == 1
    assert found["nixery_info", registry.state.about.version] == 1


async def test_free_space_and_times_are_those_measured(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    async def disks() -> dict[str, DiskSpace]:
        return {"storage": DiskSpace(free=3, total=10)}

    measures = Measures(disks=disks)
    registry.change(measures=measures)
    registry.jobs.observe(
        lambda outcome, job: measures.build_ended(outcome, job.seconds, [("pack", 2.0)])
    )
    measures.loop_delay.observe(0.5)
    await client.get(LATEST)

    found = await scraped(client)

    assert found["nixery_disk_free_bytes", "storage"] == 3
    assert found["nixery_disk_size_bytes", "storage"] == 10
    assert found["nixery_build_seconds_count", "succeeded"] == 1
    assert found["nixery_event_loop_delay_seconds_bucket", "0.3"] == 0
    assert found["nixery_event_loop_delay_seconds_bucket", "1.0"] == 1


async def test_lookups_are_counted_by_kind_and_result(client: httpx.AsyncClient) -> None:
    count_lookups("metrics-test", Result.MEMORY, 3)
    count_lookups("metrics-test", Result.ABSENT, 0)
    count_cache_request("found")

    found = await scraped(client)

    assert found["nixery_lookups_total", "metrics-test", "memory"] == 3
    assert ("nixery_lookups_total", "metrics-test", "absent") not in found
    assert found["nixery_cache_requests_total", "found"] >= 1
    assert as_activity()["lookups.metrics-test.memory"] == 3


async def test_bytes_that_builds_store_are_counted(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    before = await scraped(client)
    await client.get(LATEST)

    after = await scraped(client)
    objects = [key for key in await registry.storage.keys("") if key.startswith("manifests/")]
    written = sum([await registry.storage.size(key) for key in objects])

    stored = ("nixery_stored_bytes_total", "documents")
    assert after[stored] - before.get(stored, 0) >= written > 0


async def test_each_series_is_documented_and_nothing_else(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    families = {family.name for family in text_string_to_metric_families(text)}
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()

    documented = set(re.findall(r"`(nixery_\w+?)(?:_total)?`", page))

    assert documented == {name for name in families if name.startswith("nixery_")}
