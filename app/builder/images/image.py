"""The values a build produces, in the order in which they come to be."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainSerializer

from app.builder.nix.closure import StorePath
from app.oci import Descriptor, Digest


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """Store paths that will travel together, sorted by (name, base)."""

    paths: tuple[StorePath, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """``diff_id`` is the digest of the uncompressed tar (image-spec, config.md "Layer DiffID")."""

    descriptor: Descriptor
    diff_id: Digest


def _in_order(blobs: frozenset[Descriptor]) -> list[Descriptor]:
    return sorted(blobs, key=lambda blob: blob.digest)


# Written in one order: a set has another one in each process.
_Blobs = Annotated[frozenset[Descriptor], PlainSerializer(_in_order)]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """Everything named here is stored.

    ``docker_manifest`` is the schema 2 rendering of the same config and layers for clients
    that accept nothing newer; there is none for zstd layers.  ``blobs`` are what the
    manifests name: layers and config.  ``warnings`` are sentences for the ``Warning`` header.
    """

    manifest: Descriptor
    docker_manifest: Descriptor | None
    blobs: _Blobs = frozenset()
    warnings: tuple[str, ...] = ()
