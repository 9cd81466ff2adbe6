"""Pulls of names and tags, from their resolution to the stored image."""

import asyncio

import pytest

from app.builder.builds.contents_record import ImagePackages
from app.builder.jobs.phases import Phase
from app.errors import (
    BuildFailed,
    EvaluationFailed,
    NameUnknown,
    PackagesUnknown,
    PolicyRefused,
    RegistryError,
    SourceUnavailable,
    TagUnknown,
)
from app.oci import Digest
from app.reference import ImageReference, RepositoryName, Tag
from app.storage.memory import MemoryStorage
from tests.fakes.package_set import Attribute, Throws, package
from tests.unit.builder.assembled import Assembled
from tests.unit.builder.conftest import Open

HELLO = package("hello-1", {"bin/hello": "#!/bin/sh\n"}, main_program="hello")
BROKEN = package("broken-1", fails=True)


async def failure(server: Assembled, name: str, tag: str = "latest") -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        await server.build(name, tag)
    return raised.value


@pytest.mark.slow
async def test_an_image_is_built_once_and_found_afterwards(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()

    first = await server.build("hello")
    starts = server.nix.starts.copy()
    again = await server.build("hello")

    assert first == again
    assert server.nix.starts == starts
    counts = server.images.jobs.counts
    assert (counts.succeeded, counts.found, counts.remembered) == (1, 0, 1)
    assert await server.images.service.repositories() == ("hello",)


@pytest.mark.slow
async def test_a_restarted_server_finds_the_image_without_nix(opener: Open) -> None:
    servers = opener({"hello": HELLO})
    first = await (await servers.open()).build("hello")
    starts = servers.nix.starts.copy()

    assert await (await servers.open()).build("hello") == first
    assert servers.nix.starts == starts


@pytest.mark.slow
async def test_a_built_image_is_found_without_a_job(opener: Open) -> None:
    servers = opener({"hello": HELLO})
    server = await servers.open()
    reference = ImageReference.parse("hello", "latest")
    find = server.images.service.built

    assert await find(reference) is None
    image = await server.build("hello")
    starts = server.nix.starts.copy()
    assert await find(reference) == image
    assert await find(ImageReference.parse("set/hello", "latest")) == image
    assert await find(ImageReference.parse("hello", "other")) is None
    assert await find(ImageReference.parse("nonesuch", "latest")) is None

    restarted = await servers.open()
    assert await restarted.images.service.built(reference) is None
    assert restarted.images.jobs.counts.started == 0
    assert server.nix.starts == starts


@pytest.mark.slow
async def test_a_restarted_server_knows_recent_images_and_their_packages(opener: Open) -> None:
    servers = opener({"hello": HELLO})
    server = await servers.open()
    built = await server.build("hello")
    await server.images.service.recent.close()
    starts = server.nix.starts.copy()

    service = (await servers.open()).images.service

    found = await service.recent.find(ImageReference.parse("hello", "latest"))
    assert found is not None
    assert found.manifests == (built.manifest.digest,)
    assert {*found.seconds} == {*Phase}
    contents = await service.packages(built.manifest.digest)
    assert "hello" in {one.attribute for one in contents.packages}
    assert contents.closure is not None
    assert {one.path for one in contents.packages} <= {*contents.closure.paths}
    assert await service.packages(Digest.of(b"another")) == ImagePackages((), None)
    assert server.nix.starts == starts


@pytest.mark.slow
async def test_a_built_index_is_found_without_a_job(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open(architectures=("amd64", "arm64"))
    index = await server.build_index("hello")

    assert await server.images.service.built(ImageReference.parse("hello", "latest")) == index


async def test_tags_of_one_revision_share_the_failure_and_its_page(opener: Open) -> None:
    server = await opener({"broken": BROKEN}).open()
    server.tags["set"].revisions["main"] = "1"

    errors = [await failure(server, "broken", tag) for tag in ("latest", "main", "latest")]

    assert {type(error) for error in errors} == {BuildFailed}
    assert len({error.page for error in errors}) == 1
    assert server.images.jobs.find(errors[0].page) is not None
    assert server.nix.starts["realise"] == 1


async def test_the_name_of_the_default_source_shares_the_build(opener: Open) -> None:
    server = await opener({"broken": BROKEN}).open()

    first, second = await failure(server, "broken"), await failure(server, "set/broken")

    assert first.page == second.page


@pytest.mark.parametrize("architectures", [("amd64",), ("amd64", "arm64")])
async def test_an_image_does_not_depend_on_the_names_that_were_pulled_before(
    opener: Open, architectures: tuple[str, ...]
) -> None:
    """Names of the same packages, whose labels or commands differ."""
    shell = package("busybox-1", {"bin/sh": ""}, main_program="busybox")
    names = ("minimal", "busybox-sandbox-shell", "hello", "hello/cacert", "iana-etc/hello")
    servers = opener({"hello": HELLO, "busybox-sandbox-shell": shell})

    first = await servers.open(architectures=architectures)
    alone = {name: await first.pull(name).wait(None) for name in names}
    servers.storage = MemoryStorage()
    other = await servers.open(architectures=architectures)
    again = {name: await other.pull(name).wait(None) for name in reversed(names)}

    assert again == alone
    assert len({str(built) for built in alone.values()}) == len(names)


async def test_an_unchanged_tag_that_is_resolved_again_has_the_same_failure(opener: Open) -> None:
    server = await opener({"broken": BROKEN}).open()
    first = await failure(server, "broken")
    server.clock.now += 10_000

    again = await failure(server, "broken")

    assert server.tags["set"].requests == 2
    assert again.page == first.page
    assert server.nix.starts["realise"] == 1


@pytest.mark.slow
async def test_a_tag_that_moved_does_not_have_the_failure_of_the_old_revision(
    opener: Open,
) -> None:
    server = await opener({"broken": BROKEN}).open()
    first = await failure(server, "broken")
    server.tags["set"].revisions["latest"] = "2"
    server.nix.packages = {**server.nix.packages, "broken": package("broken-2")}
    server.clock.now += 10_000

    await server.build("broken")
    server.tags["set"].revisions["old"] = "1"
    assert (await failure(server, "broken", "old")).page == first.page


async def test_an_unknown_tag_is_unknown_until_the_source_looks_again(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()
    errors = [await failure(server, "hello", "v1") for _ in range(3)]
    assert {type(error) for error in errors} == {TagUnknown}
    assert server.tags["set"].requests == 1
    assert server.images.jobs.counts.remembered == 2

    server.tags["set"].revisions["v1"] = "1"
    server.clock.now += 10_000

    await server.build("hello", "v1")


async def test_an_unreachable_source_is_not_queried_again_at_once(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()
    server.tags["set"].error = SourceUnavailable("the source cannot be reached")

    errors = [await failure(server, "hello") for _ in range(3)]

    assert {type(error) for error in errors} == {SourceUnavailable}
    assert len({error.page for error in errors}) == 1
    assert server.tags["set"].requests == 1


async def test_an_unknown_package_is_explained_by_the_names_of_the_set(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()

    error = await failure(server, "helo")

    assert isinstance(error, PackagesUnknown)
    assert error.message == "no such package: helo (did you mean hello?)"


async def test_tags_are_those_of_the_source_and_those_that_were_built(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()
    server.tags["set"].revisions["v1"] = "1"
    await server.build("hello", "v1")

    assert await server.images.service.tags(RepositoryName("hello")) == ("latest", "v1")


async def test_tags_that_share_one_build_are_all_listed(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()
    tags = ("latest", "main", "v1")
    server.tags["set"].revisions |= {"main": "1", "v1": "1"}
    for tag in tags:
        await server.images.service._sources.default.resolve(Tag(tag))

    await asyncio.gather(*(server.build("hello", tag) for tag in tags))

    assert server.images.jobs.counts.started == 1
    assert await server.images.service.tags(RepositoryName("hello")) == tags


async def test_a_name_that_failed_as_unknown_has_no_tags(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()
    await failure(server, "helo")

    for name in ("helo", "never"):  # the second is judged by the list of names
        with pytest.raises(NameUnknown):
            await server.images.service.tags(RepositoryName(name))


async def test_tags_of_unbuilt_names_are_listed_before_anything_is_known(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()

    assert await server.images.service.tags(RepositoryName("never")) == ("latest",)
    assert server.nix.starts.total() == 0


@pytest.mark.slow
async def test_builds_that_fail_for_lasting_reasons_are_refused(opener: Open) -> None:
    attributes: dict[str, Attribute] = {
        "throws": Throws("no longer maintained"),
        "old": package("old-1", insecure=True),
        "hello": HELLO,
    }
    server = await opener(attributes).open()

    assert isinstance(await failure(server, "throws"), EvaluationFailed)
    assert isinstance(await failure(server, "old"), PolicyRefused)
    await server.build("hello")


@pytest.mark.slow
async def test_all_clients_of_a_pull_wait_for_one_build(opener: Open) -> None:
    server = await opener({"hello": HELLO}).open()

    images = await asyncio.gather(*(server.build("hello") for _ in range(20)))

    assert len(set(images)) == 1
    assert server.images.jobs.counts.started == 1
    assert server.nix.starts["realise"] == 1
