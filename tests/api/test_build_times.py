"""The times of a build, and how long it will probably take."""

import re

import httpx

from app.builder.images.image import BuiltImage
from app.builder.jobs.phases import Phase
from app.oci import Descriptor, Digest, MediaType
from app.reference import ImageReference
from tests.api.registry import Registry

BROWSER = {"accept": "text/html"}
IMAGE = BuiltImage(Descriptor(MediaType.OCI_MANIFEST, Digest.of(b"x"), 1), None)


async def running(client: httpx.AsyncClient, registry: Registry) -> str:
    """Return the path of a build that runs."""
    registry.images.seconds["a"] = 1000
    await client.get("/v2/a/manifests/latest")
    (job,) = registry.jobs.running
    return f"/builds/{job.identifier}"


async def test_a_running_build_has_its_phases_and_an_estimate(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.recent.add(
        ImageReference.parse("htop", "latest"), IMAGE, {Phase.FETCH: 40.0, Phase.PACK: 20.0}
    )
    page = await running(client, registry)
    (job,) = registry.jobs.running

    with job.progress.phases.running(Phase.FETCH):
        build = (await client.get(page)).json()
        shown = (await client.get(page, headers=BROWSER)).text

    assert [(one["phase"], one["running"]) for one in build["phases"]] == [("fetch", True)]
    assert build["estimated_from"] == 1
    assert 50 < build["remaining_seconds"] <= 60
    assert re.search(r'id="remaining">about \d+ s, by 1 earlier build<', shown)
    assert re.search(r'id="phases">fetch \d+\.\d s, running<', shown)


async def test_the_page_of_a_build_that_outlasts_all_others_has_no_estimate(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    registry.images.recent.add(ImageReference.parse("htop", "latest"), IMAGE, {Phase.PACK: 0.0})
    page = await running(client, registry)
    (job,) = registry.jobs.running

    with job.progress.phases.running(Phase.FETCH):
        build = (await client.get(page)).json()
        shown = (await client.get(page, headers=BROWSER)).text

    assert (build["remaining_seconds"], build["estimated_from"]) == (None, 1)
    assert 'id="remaining">unknown: longer than all earlier builds<' in shown


async def test_a_first_build_has_no_estimate(client: httpx.AsyncClient, registry: Registry) -> None:
    page = await running(client, registry)

    build = (await client.get(page)).json()

    assert (build["remaining_seconds"], build["estimated_from"]) == (None, 0)
    assert 'id="remaining">unknown<' in (await client.get(page, headers=BROWSER)).text


async def test_a_finished_build_has_the_times_only(
    client: httpx.AsyncClient, registry: Registry
) -> None:
    await client.get("/v2/git/manifests/latest")

    build = (await client.get("/builds")).json()["finished"][0]
    page = (await client.get(build["page"], headers=BROWSER)).text

    assert 'id="remaining"' not in page
    assert 'id="phases">none yet<' in page
