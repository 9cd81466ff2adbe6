"""Choose between the two manifests of an image, by what the client accepts; pure."""

from collections.abc import Iterable
from functools import lru_cache

from app.builder.images.image import BuiltImage
from app.errors import NotAcceptable
from app.oci import Descriptor, MediaType

_DOCKER = frozenset({MediaType.DOCKER_MANIFEST, MediaType.DOCKER_LIST})
_CANONICAL = frozenset(
    {
        MediaType.OCI_MANIFEST,
        MediaType.OCI_INDEX,
        "*/*",
        "application/*",
        "application/json",
    }
)


def choose(image: BuiltImage, accept: Iterable[str]) -> Descriptor:
    """Return the manifest for a client; ``accept`` holds all Accept headers of the request.

    The order is ignored: Docker's is that of a Go map and changes between a HEAD and its GET,
    which have to agree on the digest.  Raises NotAcceptable if the client accepts neither.
    """
    if not _docker_only(tuple(accept)):
        return image.manifest
    if image.docker_manifest is None:
        raise NotAcceptable(
            "this registry's layers are zstd (NIXERY_CODEC=zstd), which Docker schema 2 has no"
            " type for, and nothing else is accepted: use a client that accepts OCI manifests"
            " (docker from 23.0, containerd, podman), or have its operator set NIXERY_CODEC=gzip"
        )
    return image.docker_manifest


@lru_cache(maxsize=256)
def _docker_only(accept: tuple[str, ...]) -> bool:
    accepted = {
        media_type
        for header in accept
        for entry in header.split(",")
        if (media_type := _accepted(entry))
    }
    return bool(accepted & _DOCKER) and not accepted & _CANONICAL


def _accepted(entry: str) -> str:
    """Return the entry's media type, "" if its quality is zero (RFC 9110, 12.5.1)."""
    media_type, *parameters = entry.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q" and value.strip() in {"0", "0.", "0.0", "0.00", "0.000"}:
            return ""
    return media_type.strip().lower()
