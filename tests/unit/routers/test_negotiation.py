"""Which rendering a client gets."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.images.image import BuiltImage, BuiltIndex, Child, LeftOut
from app.errors import ImageUnknown, NotAcceptable
from app.oci import Descriptor, Digest, MediaType
from app.routers.negotiation import Choice, choose

OCI = Descriptor(MediaType.OCI_MANIFEST, Digest.of(b"oci"), 3)
DOCKER = Descriptor(MediaType.DOCKER_MANIFEST, Digest.of(b"docker"), 6)
IMAGE = BuiltImage(manifest=OCI, docker_manifest=DOCKER)

SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
CONTAINERD = (
    f"{MediaType.DOCKER_MANIFEST}, {MediaType.DOCKER_LIST}, "
    f"{MediaType.OCI_MANIFEST}, {MediaType.OCI_INDEX}, */*"
)


@pytest.mark.parametrize(
    "accept",
    [
        [],
        ["*/*"],
        [CONTAINERD],
        [MediaType.OCI_INDEX, MediaType.OCI_MANIFEST],
        [SCHEMA1],
        ["text/html"],
        [f"{MediaType.DOCKER_MANIFEST}, application/json"],
        [f"{MediaType.DOCKER_MANIFEST}, application/*"],
        [MediaType.DOCKER_MANIFEST, f"{MediaType.OCI_MANIFEST}; q=0.1"],
        [f"{MediaType.DOCKER_MANIFEST};q=0"],
    ],
)
def test_a_client_that_accepts_the_oci_manifest_gets_it(accept: list[str]) -> None:
    assert choose(IMAGE, accept, "amd64").document is OCI


@pytest.mark.parametrize(
    "accept",
    [
        [MediaType.DOCKER_MANIFEST],
        [f"{SCHEMA1},{MediaType.DOCKER_MANIFEST} ; q=0.5", MediaType.DOCKER_LIST],
        [MediaType.DOCKER_MANIFEST.upper()],
        [MediaType.DOCKER_MANIFEST, f"{MediaType.OCI_MANIFEST};q=0.0", "*/*; q=0"],
    ],
)
def test_a_client_that_accepts_only_docker_gets_the_docker_manifest(accept: list[str]) -> None:
    assert choose(IMAGE, accept, "amd64").document is DOCKER


ZSTD = BuiltImage(manifest=OCI, docker_manifest=None)


@pytest.mark.parametrize(
    "accept", [[], ["*/*"], [CONTAINERD], [SCHEMA1], [f"{MediaType.DOCKER_MANIFEST}, */*;q=0.1"]]
)
def test_without_a_docker_manifest_other_clients_get_the_oci_manifest(
    accept: list[str],
) -> None:
    assert choose(ZSTD, accept, "amd64").document is OCI


@pytest.mark.parametrize("accept", [[MediaType.DOCKER_MANIFEST], [SCHEMA1, MediaType.DOCKER_LIST]])
def test_without_a_docker_manifest_the_error_explains_the_codec(
    accept: list[str],
) -> None:
    with pytest.raises(NotAcceptable) as refusal:
        choose(ZSTD, accept, "amd64")

    assert "NIXERY_CODEC=zstd" in refusal.value.message
    assert "NIXERY_CODEC=gzip" in refusal.value.message
    assert len(refusal.value.message) <= 300


def test_the_order_of_headers_is_ignored() -> None:
    headers = [MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LIST, SCHEMA1, MediaType.OCI_MANIFEST]

    for order in itertools.permutations(headers):
        assert choose(IMAGE, order, "amd64").document is OCI
        assert choose(IMAGE, [",".join(order)], "amd64").document is OCI


@pytest.mark.slow
@given(st.lists(st.text()))
def test_any_header_gets_a_manifest(accept: list[str]) -> None:
    assert choose(IMAGE, accept, "amd64").document in {OCI, DOCKER}


INDEX = Descriptor(MediaType.OCI_INDEX, Digest.of(b"index"), 5)
DOCKER_LIST = Descriptor(MediaType.DOCKER_LIST, Digest.of(b"list"), 4)
OTHER = BuiltImage(
    manifest=Descriptor(MediaType.OCI_MANIFEST, Digest.of(b"other"), 5), docker_manifest=None
)
BOTH = BuiltIndex(INDEX, DOCKER_LIST, (Child("amd64", IMAGE), Child("arm64", OTHER)))
ARM_ONLY = BuiltIndex(
    INDEX, DOCKER_LIST, (Child("arm64", OTHER),), (LeftOut("amd64", "no such package: arm"),)
)
PODMAN = [
    MediaType.OCI_MANIFEST,
    MediaType.DOCKER_MANIFEST,
    SCHEMA1,
    MediaType.DOCKER_LIST,
    MediaType.OCI_INDEX,
]


@pytest.mark.parametrize(
    "accept",
    [
        [],
        ["*/*"],
        [CONTAINERD],
        PODMAN,
        [", ".join(PODMAN)],
        [MediaType.OCI_INDEX],
        [MediaType.OCI_INDEX, MediaType.OCI_MANIFEST],
        [f"{MediaType.OCI_INDEX.upper()};q=0.1, {MediaType.DOCKER_LIST}"],
        [f"{MediaType.DOCKER_MANIFEST}, */*"],
    ],
)
def test_a_client_that_accepts_the_oci_index_gets_it(accept: list[str]) -> None:
    assert choose(BOTH, accept, "amd64") == Choice(INDEX)


@pytest.mark.parametrize(
    "accept",
    [
        [MediaType.DOCKER_LIST],
        [MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LIST],
        [f"{SCHEMA1}, {MediaType.DOCKER_LIST}, {MediaType.OCI_MANIFEST}"],
        [f"{MediaType.OCI_INDEX};q=0, */*"],
    ],
)
def test_a_client_that_accepts_no_newer_index_gets_the_docker_list(accept: list[str]) -> None:
    assert choose(BOTH, accept, "amd64") == Choice(DOCKER_LIST)


@pytest.mark.parametrize(
    ("accept", "own", "document"),
    [
        ([MediaType.OCI_MANIFEST], "amd64", OCI),
        ([MediaType.OCI_MANIFEST], "arm64", OTHER.manifest),
        ([MediaType.OCI_MANIFEST, MediaType.DOCKER_MANIFEST], "amd64", OCI),
        ([f"{SCHEMA1}, {MediaType.DOCKER_MANIFEST}"], "amd64", DOCKER),
        ([SCHEMA1], "amd64", OCI),
        (["text/html"], "amd64", OCI),
    ],
)
def test_a_client_that_accepts_no_index_gets_the_image_of_the_server(
    accept: list[str], own: str, document: Descriptor
) -> None:
    choice = choose(BOTH, accept, own)

    other = "arm64" if own == "amd64" else "amd64"
    assert choice.document == document
    assert choice.warning == (
        f"this is the image for {own} only, because the client accepts no image index; the image"
        f" index has {other} too"
    )


def test_without_an_image_of_the_server_the_error_explains_it() -> None:
    with pytest.raises(ImageUnknown) as refusal:
        choose(ARM_ONLY, [MediaType.OCI_MANIFEST], "amd64")

    assert refusal.value.message == (
        "no image for amd64, this server's own architecture, and the client accepts no image index:"
        " no such package: arm; there is one for arm64"
    )
    assert choose(ARM_ONLY, [CONTAINERD], "amd64") == Choice(INDEX)


def test_zstd_images_have_no_docker_list_either() -> None:
    index = BuiltIndex(INDEX, None, (Child("amd64", ZSTD),))

    assert choose(index, [MediaType.DOCKER_LIST, MediaType.OCI_MANIFEST], "amd64").document is OCI
    with pytest.raises(NotAcceptable):
        choose(index, [MediaType.DOCKER_LIST, MediaType.DOCKER_MANIFEST], "amd64")


def test_a_client_without_indexes_misses_nothing_if_only_the_codec_differs() -> None:
    image = BuiltImage(manifest=OCI, docker_manifest=DOCKER, zstd_manifest=OTHER.manifest)
    index = BuiltIndex(INDEX, DOCKER_LIST, (Child("amd64", image),))

    assert choose(index, [CONTAINERD], "amd64") == Choice(INDEX)
    assert choose(index, [MediaType.DOCKER_LIST], "amd64") == Choice(DOCKER_LIST)
    assert choose(index, [MediaType.OCI_MANIFEST], "amd64") == Choice(OCI)
    assert choose(index, [MediaType.DOCKER_MANIFEST], "amd64") == Choice(DOCKER)


def test_accept_headers_of_any_length_are_not_kept_in_memory() -> None:
    def accept(number: int) -> list[str]:
        types = ",".join(f"a/{number}-{one}" for one in range(5000))
        return [f"{types},{MediaType.DOCKER_MANIFEST}"]

    choose(IMAGE, accept(0), "amd64")
    tracemalloc.start()
    for number in range(1, 20):
        assert choose(IMAGE, accept(number), "amd64").document is DOCKER
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 1 << 20
