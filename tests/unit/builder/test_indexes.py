"""Indexes of several architectures: what is in them, what they leave out, what fails them."""

import json
from typing import Any

import pytest

from app.builder.images.image import BuiltImage, BuiltIndex
from app.errors import (
    BuildFailed,
    DownloadFailed,
    EvaluationFailed,
    NameUnknown,
    PackagesUnknown,
    PolicyRefused,
    RegistryError,
)
from app.oci import Descriptor
from app.reference import ImageReference, RepositoryName
from app.storage import keys
from app.storage.blobs import BlobStore
from app.storage.memory import MemoryStorage
from tests.fakes.package_set import Aborts, Attribute, Endless, PerSystem, Throws, only, package
from tests.unit.builder.assembled import Assembled
from tests.unit.builder.conftest import Open

BOTH = ("amd64", "arm64")
HELLO = package("hello-1", {"bin/hello": "#!/bin/sh\n"}, main_program="hello")
ATTRIBUTES: dict[str, Attribute] = {
    "hello": HELLO,
    "intel": only("x86_64-linux", package("intel-1")),
    "arm": only("aarch64-linux", package("arm-1")),
    "failing": package("failing-1", fails=True),
}


async def document(server: Assembled, descriptor: Descriptor) -> dict[str, Any]:
    body = await BlobStore(server.storage).read_manifest(descriptor.digest)
    assert len(body) == descriptor.size
    found: dict[str, Any] = json.loads(body)
    return found


async def failure(server: Assembled, name: str) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        await server.pull(name).wait(None)
    return raised.value


def architectures(index: BuiltIndex) -> list[str]:
    return [child.architecture for child in index.children]


@pytest.mark.slow
async def test_an_index_has_an_image_for_each_architecture_in_a_fixed_order(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=("arm64", "amd64"))

    index = await server.build_index("hello")

    found = await document(server, index.index)
    assert found["mediaType"] == index.index.media_type
    assert [one["platform"] for one in found["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert [one["digest"] for one in found["manifests"]] == [
        str((await server.build(f"{name}/hello")).manifest.digest) for name in BOTH
    ]
    assert index.warnings == ()


@pytest.mark.slow
async def test_the_docker_list_has_the_docker_manifests(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH)

    index = await server.build_index("hello")

    assert index.docker_list is not None
    found = await document(server, index.docker_list)
    manifests = [child.image.docker_manifest for child in index.children]
    assert all(manifests)
    assert [(one["mediaType"], one["digest"], one["size"]) for one in found["manifests"]] == [
        (one.media_type, str(one.digest), one.size) for one in manifests if one
    ]


@pytest.mark.slow
async def test_images_without_docker_manifests_have_no_docker_list(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH, codec="zstd")

    assert (await server.build_index("hello")).docker_list is None


@pytest.mark.slow
@pytest.mark.parametrize("given", [(), ("amd64",)])
async def test_a_server_of_one_architecture_makes_images(
    opener: Open, given: tuple[str, ...]
) -> None:
    server = await opener(ATTRIBUTES).open(architectures=given)

    assert await server.build("hello") == await server.build("amd64/hello")


@pytest.mark.slow
async def test_a_server_may_serve_another_architecture_than_its_own(opener: Open) -> None:
    own = await opener(ATTRIBUTES).open()
    other = await own.opener.open(system="aarch64-linux", architectures=("arm64",))
    both = await own.opener.open(system="aarch64-linux", architectures=BOTH)

    assert await other.build("hello") == await own.build("arm64/hello")
    built = await own.opener.open(architectures=BOTH)
    assert await both.build_index("hello") == await built.build_index("hello")


@pytest.mark.slow
async def test_a_built_index_is_found_without_nix_also_after_a_restart(opener: Open) -> None:
    servers = opener(ATTRIBUTES)
    first = await (await servers.open(architectures=BOTH)).build_index("hello")
    starts = servers.nix.starts.copy()
    server = await servers.open(architectures=BOTH)

    assert await server.build_index("hello") == first
    assert await server.build_index("hello") == first
    assert servers.nix.starts == starts
    assert server.images.jobs.counts.succeeded == 0
    assert await server.images.service.repositories() == ("hello",)


@pytest.mark.slow
async def test_one_job_shows_all_architectures(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH)

    await server.build_index("hello")

    (job,) = server.images.jobs.finished
    assert job.title == "hello:latest"
    assert job.stage == "amd64: packing; arm64: packing"
    for stage in ("evaluation", "building", "packing"):
        assert f"amd64: {stage}" in job.progress.log
        assert f"arm64: {stage}" in job.progress.log
    assert server.nix.starts["evaluate"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("arm64", "amd64"), ("amd64", "arm64")])
async def test_the_architecture_of_the_client_is_begun_with(
    opener: Open, first: str, second: str
) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH)
    reference = ImageReference.parse("hello", "latest")

    index = await server.images.service.pull(reference, "", first).wait(None)

    lines = server.images.jobs.finished[0].progress.log
    assert lines.index(f"{first}: evaluation") < lines.index(f"{second}: evaluation")
    assert isinstance(index, BuiltIndex)
    assert architectures(index) == ["amd64", "arm64"]


@pytest.mark.slow
async def test_an_index_and_its_images_are_built_once_when_pulled_together(
    opener: Open,
) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH)
    pulls = [server.pull(name) for name in ("arm64/hello", "hello", "hello", "amd64/hello")]

    arm, index, same, intel = [await pull.wait(None) for pull in pulls]

    assert isinstance(index, BuiltIndex)
    assert same == index
    assert [child.image for child in index.children] == [intel, arm]
    assert server.nix.starts["realise"] == 2


@pytest.mark.slow
async def test_one_index_takes_one_place_of_each_queue(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(
        architectures=BOTH, queue=0, evaluations=1, builds=1, packings=1
    )

    assert architectures(await server.build_index("hello")) == ["amd64", "arm64"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kept", "left_out", "reason"),
    [
        ("intel", "amd64", "arm64", "no such package: intel"),
        ("hello/arm", "arm64", "amd64", "no such package: arm"),
    ],
)
async def test_an_architecture_without_the_package_is_left_out(
    opener: Open, name: str, kept: str, left_out: str, reason: str
) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH)

    index = await server.build_index(name)

    assert architectures(index) == [kept]
    assert index.warnings == (f"no image for {left_out}: {reason}",)
    assert f"{left_out}: left out: {reason}" in server.images.jobs.finished[0].progress.log
    found = await document(server, index.index)
    assert [one["platform"]["architecture"] for one in found["manifests"]] == [kept]


@pytest.mark.slow
@pytest.mark.parametrize("error", [Throws("no such platform"), Aborts("no such platform")])
async def test_an_architecture_that_does_not_evaluate_is_left_out(
    opener: Open, error: Attribute
) -> None:
    odd: dict[str, Attribute] = {
        "odd": PerSystem({"x86_64-linux": HELLO, "aarch64-linux": error}),
        "hello": HELLO,
    }
    server = await opener(odd).open(architectures=BOTH)

    index = await server.build_index("odd")

    assert architectures(index) == ["amd64"]
    assert index.left_out[0].reason.startswith("odd: ")
    assert "no such platform" in index.left_out[0].reason
    assert isinstance(await failure(server, "arm64/odd"), EvaluationFailed)


@pytest.mark.slow
async def test_what_no_architecture_has_is_an_error(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH)

    error = await failure(server, "helo")

    assert isinstance(error, PackagesUnknown)
    assert error.message == "no such package: helo (did you mean hello?)"
    with pytest.raises(NameUnknown):
        await server.images.service.tags(RepositoryName("helo"))
    assert await server.images.service.tags(RepositoryName("arm")) == ("latest",)


@pytest.mark.slow
async def test_names_of_every_served_architecture_are_found(opener: Open) -> None:
    far: dict[str, Attribute] = {
        "farther": only("aarch64-linux", package("farther-1")),
        "nearby": HELLO,
    }
    servers = opener({**ATTRIBUTES, **far})
    server = await servers.open(architectures=BOTH)

    assert (await server.images.search("farther", 5, None)).names == ("farther",)
    assert "farther" in (await server.images.search("fart", 5, None)).names
    assert (await server.images.search("arm64/farther", 5, None)).names == ("farther",)
    assert "farther" not in (await server.images.search("amd64/farther", 5, None)).names
    assert set((await server.images.search("ar", 9, None)).names) >= {"arm"}
    error = await failure(server, "fartherr")
    assert error.message == "no such package: fartherr (did you mean farther?)"
    assert "mean" not in (await failure(server, "amd64/fartherr")).message
    assert "mean farther?" in (await failure(server, "arm64/fartherr")).message
    with pytest.raises(NameUnknown, match="did you mean farther"):
        await server.images.service.tags(RepositoryName("fartherr"))

    alone = await servers.open()

    assert "farther" not in (await alone.images.search("farther", 5, None)).names
    assert "mean" not in (await failure(alone, "fartherr")).message


async def test_an_architecture_whose_names_cannot_be_listed_is_left_out_of_searches(
    opener: Open,
) -> None:
    servers = opener(ATTRIBUTES)
    server = await servers.open(architectures=BOTH)
    assert (await server.images.search("amd64/hello", 5, None)).names == ("hello",)
    servers.nix.fail_next("scan", EvaluationFailed("no set for this system"))

    assert (await server.images.search("hello", 5, None)).names == ("hello",)


@pytest.mark.slow
async def test_a_failed_build_fails_the_whole(opener: Open) -> None:
    server = await opener(
        {"far": package("far-1", system="x86_64-linux"), "failing": ATTRIBUTES["failing"]}
    ).open(architectures=BOTH)

    assert isinstance(await failure(server, "failing"), BuildFailed)
    assert isinstance(await failure(server, "far"), BuildFailed)


async def test_a_package_that_a_setting_refuses_fails_the_whole(opener: Open) -> None:
    server = await opener(
        {
            "old": package("old-1", insecure=True),
            "mixed": package("mixed-1", is_cached=False),
        }
    ).open(architectures=BOTH, team={"build": False})

    assert isinstance(await failure(server, "old"), PolicyRefused)
    assert isinstance(await failure(server, "team/mixed"), PolicyRefused)


@pytest.mark.slow
async def test_an_unreachable_cache_fails_the_whole_and_passes(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH, failure_seconds=0)
    server.nix.fail_next("realise", DownloadFailed("the cache failed", host="cache.invalid"))

    assert isinstance(await failure(server, "hello"), DownloadFailed)
    assert architectures(await server.build_index("hello")) == ["amd64", "arm64"]


async def test_an_evaluation_that_takes_too_long_fails_the_whole(opener: Open) -> None:
    slow = PerSystem({"x86_64-linux": HELLO, "aarch64-linux": Endless()})
    server = await opener({"slow": slow}).open(architectures=BOTH, evaluation_seconds=0.01)

    assert isinstance(await failure(server, "slow"), EvaluationFailed)
    assert await server.storage.keys("indexes/") == []


@pytest.mark.slow
async def test_the_first_server_decides_which_architectures_are_absent(opener: Open) -> None:
    """The second server evaluates what the first one could not."""
    servers = opener({"hello": HELLO, "odd": only("x86_64-linux", HELLO)})
    first = await servers.open(architectures=BOTH)
    decided = await first.build_index("odd")
    assert architectures(decided) == ["amd64"]
    servers.nix.packages = {**servers.nix.packages, "odd": HELLO}

    second = await servers.open(architectures=BOTH)

    assert await second.build_index("odd") == decided
    for child in decided.children:
        for layer in child.image.blobs:
            await servers.storage.delete(keys.blob(layer.digest))
    third = await servers.open(architectures=BOTH)
    assert await third.build_index("odd") == decided
    assert third.images.jobs.counts.succeeded == 1


@pytest.mark.slow
async def test_a_decided_architecture_that_fails_elsewhere_fails_the_whole(opener: Open) -> None:
    servers = opener({"hello": HELLO})
    decided = await (await servers.open(architectures=BOTH)).build_index("hello")
    await _damage(servers.storage, decided.children[1].image)
    for name in await servers.storage.keys("attributes/"):
        await servers.storage.delete(name)
    servers.nix.packages = {**servers.nix.packages, "hello": only("x86_64-linux", HELLO)}

    error = await failure(await servers.open(architectures=BOTH), "hello")

    assert isinstance(error, PackagesUnknown)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
async def test_a_lost_document_or_layer_is_made_again_with_its_digest(
    opener: Open, number: int
) -> None:
    servers = opener(ATTRIBUTES)
    server = await servers.open(architectures=BOTH)
    index = await server.build_index("hello")
    document = index.manifests[number]
    await servers.storage.delete(keys.manifest(document.digest))
    server.images.manifests.lost(document.digest)

    assert await server.build_index("hello") == index
    assert len(await servers.storage.read(keys.manifest(document.digest))) == document.size


@pytest.mark.slow
async def test_the_record_refers_to_all_that_the_index_needs(opener: Open) -> None:
    server = await opener(ATTRIBUTES).open(architectures=BOTH)
    index = await server.build_index("hello")

    (name,) = await server.storage.keys("indexes/")

    head = json.loads((await server.storage.read(name)).partition(b"\n")[0])
    needed = {one.digest for one in (*index.manifests, *index.blobs)}
    assert {*head["references"]} == {str(digest) for digest in needed}
    assert len(index.manifests) == 6


async def _damage(storage: MemoryStorage, image: BuiltImage) -> None:
    for blob in image.blobs:
        await storage.delete(keys.blob(blob.digest))
