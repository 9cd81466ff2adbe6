"""The values a build produces, in the order in which they come to be."""

from dataclasses import dataclass

from app.builder.closure import StorePath
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


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """Everything named here is stored.

    ``docker_manifest`` is the schema 2 rendering of the same config and layers for clients
    that accept nothing newer; there is none for zstd layers.  ``blobs`` are what the
    manifests name: layers and config.  ``warnings`` are sentences for the ``Warning`` header.
    """

    manifest: Descriptor
    docker_manifest: Descriptor | None
    blobs: frozenset[Descriptor] = frozenset()
    warnings: tuple[str, ...] = ()
