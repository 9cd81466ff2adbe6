"""Values of the image specification: digests, media types, descriptors, canonical JSON."""

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_plain_validator_function, to_string_ser_schema

from app.errors import DigestInvalid

# A file of this prefix deletes another one from the layers below (image-spec, layer.md).
WHITEOUT_PREFIX = b".wh."
_ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX = re.compile(r"[a-f0-9]+")
# Made once: an image needs hundreds of keys.
_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


class MediaType(StrEnum):
    """Media types of images (image-spec, media-types.md), and Docker's."""

    OCI_INDEX = "application/vnd.oci.image.index.v1+json"
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A digest, ``algorithm:hex`` as text (image-spec, descriptor.md "Digests").

    This server creates only sha256.
    """

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Parse a digest, also of an unused algorithm.  Raises DigestInvalid."""
        algorithm, _, encoded = text.partition(":")
        if _DIGEST.fullmatch(text):
            length = _ALGORITHMS.get(algorithm)
            if length is None or (len(encoded) == length and _HEX.fullmatch(encoded)):
                return cls(algorithm, encoded)
        raise DigestInvalid("a digest is written sha256:<64 lower-case hexadecimal digits>")

    @classmethod
    def of(cls, body: bytes) -> "Digest":
        return cls("sha256", hashlib.sha256(body).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, __: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read and write a digest as text."""
        return no_info_plain_validator_function(
            _validated_digest, serialization=to_string_ser_schema()
        )


def _validated_digest(value: object) -> Digest:
    """Parse a digest.  Raises ValueError, as pydantic requires."""
    if isinstance(value, Digest):
        return value
    try:
        return Digest.parse(str(value))
    except DigestInvalid as error:
        raise ValueError(error.message) from None


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to a blob or a manifest (image-spec, descriptor.md).

    ``size`` is the exact number of bytes that the digest covers.
    """

    media_type: MediaType
    digest: Digest
    size: Annotated[int, Field(ge=0)]


def canonical_json(value: object) -> bytes:
    """Return JSON with sorted keys, without white space, in UTF-8: the form that is hashed."""
    return _CANONICAL.encode(value).encode()
