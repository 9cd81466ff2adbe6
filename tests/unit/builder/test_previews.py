"""What a pull would take, found out without building: the way of the server, over a fake Nix."""

import asyncio

import pytest

from app.builder.builds.preview import ImagePreview, Place, PreviewedImage
from app.errors import BuildFailed, PackagesUnknown
from app.reference import ImageReference
from tests.fakes.package_set import Attribute, package
from tests.fakes.package_set import only as onsystem
from tests.unit.builder.assembled import Assembled
from tests.unit.builder.conftest import Open

LIB = package("lib-1", {"lib/lib.so": "code"})
TOOL = package("tool-1", {"bin/tool": "#!/bin/sh\n# @lib@\n"})
SET = {"lib": LIB, "tool": TOOL, "cached": package("cached-1", is_cached=True)}


async def preview(server: Assembled, name: str, tag: str = "latest") -> ImagePreview:
    found = await server.images.service.preview(ImageReference.parse(name, tag), "").wait(None)
    assert found is not None
    return found


def only(found: ImagePreview) -> PreviewedImage:
    (image,) = found.images
    return image


def places(image: PreviewedImage) -> dict[str, Place]:
    return {path.path.name: path.place for path in image.paths}


async def test_a_new_image_lists_what_would_be_built_and_builds_nothing(opener: Open) -> None:
    server = await opener(SET).open()

    image = only(await preview(server, "tool"))

    assert not image.is_complete
    assert {path.name for path in image.builds} >= {"tool-1.drv", "lib-1.drv"}
    assert places(image)["tool-1"] is Place.BUILD
    assert image.layers == ()
    assert "realise" not in server.nix.starts
    assert server.images.jobs.counts.started == 0
    assert [path for path in await server.storage.keys("") if path.startswith("blobs/")] == []


@pytest.mark.slow
async def test_the_plan_of_a_built_image_is_its_layers_and_its_digest(opener: Open) -> None:
    server = await opener(SET).open()
    built = await server.build("tool")
    starts = server.nix.starts.copy()

    found = await preview(server, "tool")

    image = only(found)
    assert found.digest == image.digest == built.manifest.digest
    assert image.is_complete
    assert set(places(image).values()) == {Place.PACKED}
    assert {"tool-1", "lib-1"} <= places(image).keys()
    assert all(layer.is_stored for layer in image.layers)
    assert image.layer_count == len(built.blobs) - 1
    sizes = {blob.size for blob in built.blobs}
    assert {layer.size for layer in image.layers} <= sizes
    assert server.nix.starts == starts


@pytest.mark.slow
async def test_another_image_of_packed_packages_is_complete_before_it_is_built(
    opener: Open,
) -> None:
    server = await opener(SET).open()
    await server.build("tool")
    await server.build("lib")

    found = await preview(server, "lib/tool")

    image = only(found)
    assert (found.digest, image.digest, image.is_complete) == (None, None, True)
    built = await server.build("lib/tool")
    assert image.layer_count == len(built.blobs) - 1


async def test_a_path_of_a_binary_cache_is_not_built(opener: Open) -> None:
    server = await opener(SET).open()

    image = only(await preview(server, "cached"))

    assert places(image)["cached-1"] is Place.CACHE
    assert "cached-1.drv" not in {path.name for path in image.builds}


@pytest.mark.slow
async def test_what_may_not_be_built_is_not_available(opener: Open) -> None:
    server = await opener(SET).open(team={"build": False})

    image = only(await preview(server, "team/tool"))

    assert places(image)["tool-1"] is Place.NOWHERE


@pytest.mark.slow
async def test_an_index_has_a_plan_for_each_architecture(opener: Open) -> None:
    server = await opener(SET).open(architectures=("amd64", "arm64"))

    found = await preview(server, "tool")

    assert [image.architecture for image in found.images] == ["amd64", "arm64"]
    assert len({image.packages[0].path for image in found.images}) == 2
    index = await server.build_index("tool")
    assert (await preview(server, "tool")).digest == index.index.digest


async def test_an_error_is_that_of_a_pull_and_is_remembered(opener: Open) -> None:
    server = await opener(SET).open()

    for _ in range(2):
        with pytest.raises(PackagesUnknown):
            await preview(server, "nonesuch")

    assert server.nix.starts["evaluate"] == 1


async def test_requests_at_the_same_time_share_the_work(opener: Open) -> None:
    server = await opener(SET).open()

    found = await asyncio.gather(*(preview(server, "tool") for _ in range(5)))

    assert all(one == found[0] for one in found)
    assert server.nix.starts["preview"] == 1


@pytest.mark.slow
async def test_deleted_derivations_are_evaluated_again(opener: Open) -> None:
    server = await opener(SET).open()
    image = only(await preview(server, "tool"))
    for path in image.builds:
        server.nix.store.delete(path)

    again = only(await preview(server, "tool"))

    assert again.builds == image.builds


@pytest.mark.slow
async def test_a_store_path_that_its_derivation_does_not_have_is_refused(opener: Open) -> None:
    server = await opener(SET).open()
    server.nix.fail_next("preview", BuildFailed("the derivation has no such output"))

    with pytest.raises(BuildFailed):
        await preview(server, "tool")


@pytest.mark.slow
async def test_what_is_in_the_store_is_complete_although_nothing_is_packed(opener: Open) -> None:
    servers = opener(SET)
    built = await (await servers.open()).build("tool")
    for key in await servers.storage.keys(""):
        if key.startswith(("builds/", "closures/", "paths/", "layers/", "blobs/")):
            await servers.storage.delete(key)

    server = await servers.open()
    image = only(await preview(server, "tool"))

    assert image.is_complete
    assert set(places(image).values()) == {Place.STORE}
    assert image.layer_count == len(built.blobs) - 1
    assert {layer.size for layer in image.layers} == {None}
    assert not any(layer.is_stored for layer in image.layers)


@pytest.mark.slow
async def test_an_architecture_without_the_package_has_its_reason(opener: Open) -> None:
    attributes: dict[str, Attribute] = {
        **SET,
        "intel": onsystem("x86_64-linux", package("intel-1")),
    }
    server = await opener(attributes).open(architectures=("amd64", "arm64"))

    found = await preview(server, "intel")

    assert [image.architecture for image in found.images] == ["amd64"]
    (lacking,) = found.lacking
    assert lacking.architecture == "arm64"
    assert "intel" in lacking.reason
