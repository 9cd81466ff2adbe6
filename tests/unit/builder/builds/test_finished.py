"""The next pull of a built name and tag, and what ends it."""

from collections.abc import Mapping

import pytest

from tests.fakes.package_set import Attribute, package
from tests.unit.builder.assembled import ALWAYS, Assembled
from tests.unit.builder.conftest import Open

HELLO = package("hello-1", {"bin/hello": "#!/bin/sh\n"})
TOOL: Mapping[str, Attribute] = {"tool": package("tool-1", {"bin/tool": "#!/bin/sh\n"})}


async def pulled(server: Assembled, name: str) -> None:
    """Pull, so that the image is in memory with all its blobs seen."""
    await server.build(name)
    assert remembers(server, name)


def remembers(server: Assembled, name: str) -> bool:
    """Whether a pull has its image at once, without a job."""
    before = server.images.jobs.counts.started
    pull = server.pull(name)
    return server.images.jobs.counts.started == before and pull.result() is not None


async def test_a_built_image_is_returned_at_once_and_equals_the_stored_one(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()
    first = await server.build("hello")
    await pulled(server, "hello")

    assert server.pull("hello").result() == first
    assert await server.pull("hello").wait(0) == first
    assert server.images.jobs.counts.remembered > 0


async def test_the_second_pull_has_no_job(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()

    await server.build("hello")

    assert remembers(server, "hello")


@pytest.mark.slow
async def test_a_tag_that_moved_is_built_again(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()
    first = await server.build("hello")
    await pulled(server, "hello")
    server.tags["set"].revisions["latest"] = "2"
    server.nix.packages = {**server.nix.packages, "hello": package("hello-2")}
    server.clock.now += 10_000

    assert (await server.build("hello")).manifest != first.manifest


@pytest.mark.slow
async def test_a_base_that_moved_is_noticed(opener: Open) -> None:
    servers = opener({})
    servers.nix.sources = {"team": TOOL}
    server = await servers.open()
    first = await server.build("team/tool")
    await pulled(server, "team/tool")
    server.tags["set"].revisions["latest"] = "2"
    certificates = package("cacert-2", {"etc/ssl/certs/ca-bundle.crt": "others\n"})
    server.nix.packages = {**ALWAYS, "cacert": certificates}
    server.clock.now += 10_000

    assert (await server.build("team/tool")).manifest != first.manifest


@pytest.mark.slow
async def test_a_lost_manifest_ends_the_memory_of_all_images(opener: Open) -> None:
    server = await opener({"hello": HELLO, "other": package("other-1")}).open()
    image = await server.build("hello")
    await pulled(server, "hello")
    await pulled(server, "other")

    server.images.manifests.lost(image.manifest.digest)

    assert not remembers(server, "hello")
    assert not remembers(server, "other")


@pytest.mark.slow
async def test_sources_do_not_share_what_they_remember(opener: Open) -> None:
    servers = opener({"hello": HELLO})
    servers.nix.sources = {"team": {**ALWAYS, "hello": package("hello-of-team-1")}}
    server = await servers.open()
    await pulled(server, "hello")

    assert not remembers(server, "team/hello")
    assert await server.build("team/hello") != await server.build("hello")
