"""Images in gzip and zstd at once: an index with two entries for each architecture."""

import json
from typing import Any

import pytest

from app.builder.images.image import BuiltImage, BuiltIndex
from app.oci import Descriptor, Digest
from app.storage import keys
from app.storage.memory import MemoryStorage
from tests.fakes.package_set import Attribute, only, package
from tests.unit.builder.conftest import Open

pytestmark = pytest.mark.slow

ATTRIBUTES: dict[str, Attribute] = {
    "hello": package("hello-1", {"bin/hello": "#!/bin/sh\n"}, main_program="hello"),
    "arm": only("aarch64-linux", package("arm-1")),
}
ZSTD = {"io.github.containers.compression.zstd": "true"}


async def read(storage: MemoryStorage, descriptor: Descriptor) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await storage.read(keys.manifest(descriptor.digest)))
    return found


@pytest.mark.parametrize("architectures", [("amd64",), ("amd64", "arm64"), ()])
async def test_a_platform_has_gzip_first_and_then_the_same_image_in_zstd(
    opener: Open, architectures: tuple[str, ...]
) -> None:
    server = await opener(ATTRIBUTES).open(architectures=architectures, codec="both")

    index = await server.build_index("hello")

    document = await read(server.storage, index.index)
    names = [entry["platform"]["architecture"] for entry in document["manifests"]]
    assert names == [name for name in architectures or ("amd64",) for _ in range(2)]
    for gzip, zstd in zip(document["manifests"][::2], document["manifests"][1::2], strict=True):
        assert "annotations" not in gzip
        assert zstd["annotations"] == ZSTD
        assert gzip["platform"] == zstd["platform"]
        one, other = [
            json.loads(await server.storage.read(keys.manifest(Digest.parse(entry["digest"]))))
            for entry in (gzip, zstd)
        ]
        assert one["config"] == other["config"]
        for manifest, kind in ((one, "+gzip"), (other, "+zstd")):
            assert {layer["mediaType"][-5:] for layer in manifest["layers"]} == {kind}
        assert len(one["layers"]) == len(other["layers"])
    assert index.docker_list is not None
    listed = await read(server.storage, index.docker_list)
    assert [entry["digest"] for entry in listed["manifests"]] == [
        str(child.image.docker_manifest.digest)
        for child in index.children
        if child.image.docker_manifest
    ]


async def test_the_images_are_those_of_servers_with_one_codec(opener: Open) -> None:
    servers = opener(ATTRIBUTES)
    images: dict[str, BuiltImage] = {}
    for name in ("both", "gzip", "zstd"):
        images[name] = await (await servers.open(codec=name)).build("amd64/hello")

    both = images["both"]
    assert both.manifest == images["gzip"].manifest
    assert both.docker_manifest == images["gzip"].docker_manifest
    assert both.zstd_manifest == images["zstd"].manifest
    assert both.blobs == images["gzip"].blobs | images["zstd"].blobs
    # Of a server with one codec, a name is an image.
    assert await (await servers.open()).build("hello") == images["gzip"]


async def test_an_architecture_without_the_package_is_left_out_in_both(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=("amd64", "arm64"), codec="both")

    index = await server.build_index("arm")

    assert [one.architecture for one in index.left_out] == ["amd64"]
    assert len((await read(server.storage, index.index))["manifests"]) == 2


@pytest.mark.parametrize("number", range(5))
async def test_after_a_restart_lost_documents_and_layers_are_made_again(
    opener: Open, number: int
) -> None:
    servers = opener(ATTRIBUTES)
    built = await (await servers.open(codec="both")).build_index("hello")
    assert await (await servers.open(codec="both")).build_index("hello") == built
    assert len(built.manifests) == 5
    await servers.storage.delete(keys.manifest(built.manifests[number].digest))
    blob = sorted(built.blobs, key=lambda one: one.digest)[number]
    await servers.storage.delete(keys.blob(blob.digest))

    again = await (await servers.open(codec="both")).build_index("hello")

    assert isinstance(again, BuiltIndex)
    assert again == built
    assert len(await servers.storage.read(keys.blob(blob.digest))) == blob.size
    for document in built.manifests:
        assert len(await servers.storage.read(keys.manifest(document.digest))) == document.size
