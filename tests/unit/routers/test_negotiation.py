"""Which rendering a client gets."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.builder.images.image import BuiltImage
from app.errors import NotAcceptable
from app.oci import Descriptor, Digest, MediaType
from app.routers.negotiation import choose

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
    assert choose(IMAGE, accept) is OCI


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
    assert choose(IMAGE, accept) is DOCKER


ZSTD = BuiltImage(manifest=OCI, docker_manifest=None)


@pytest.mark.parametrize(
    "accept", [[], ["*/*"], [CONTAINERD], [SCHEMA1], [f"{MediaType.DOCKER_MANIFEST}, */*;q=0.1"]]
)
def test_without_a_docker_manifest_other_clients_get_the_oci_manifest(
    accept: list[str],
) -> None:
    assert choose(ZSTD, accept) is OCI


@pytest.mark.parametrize("accept", [[MediaType.DOCKER_MANIFEST], [SCHEMA1, MediaType.DOCKER_LIST]])
def test_without_a_docker_manifest_the_error_explains_the_codec(
    accept: list[str],
) -> None:
    with pytest.raises(NotAcceptable) as refusal:
        choose(ZSTD, accept)

    assert "NIXERY_CODEC=zstd" in refusal.value.message
    assert "NIXERY_CODEC=gzip" in refusal.value.message
    assert len(refusal.value.message) <= 300


def test_the_order_of_headers_is_ignored() -> None:
    headers = [MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LIST, SCHEMA1, MediaType.OCI_MANIFEST]

    for order in itertools.permutations(headers):
        assert choose(IMAGE, order) is OCI
        assert choose(IMAGE, [",".join(order)]) is OCI


@given(st.lists(st.text()))
def test_any_header_gets_a_manifest(accept: list[str]) -> None:
    assert choose(IMAGE, accept) in {OCI, DOCKER}
