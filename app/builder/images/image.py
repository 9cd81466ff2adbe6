"""The values that a build produces, in the order in which it makes them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainSerializer

from app.builder.nix.closure import StorePath
from app.oci import Descriptor, Digest


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """Store paths that share a layer, sorted by (name, base)."""

    paths: tuple[StorePath, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """``diff_id`` is the digest of the uncompressed tar (image-spec, config.md "Layer DiffID")."""

    descriptor: Descriptor
    diff_id: Digest


def _in_order(blobs: frozenset[Descriptor]) -> list[Descriptor]:
    return sorted(blobs, key=lambda blob: blob.digest)


# Written in one order, since the order of a set differs between processes.
_Blobs = Annotated[frozenset[Descriptor], PlainSerializer(_in_order)]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A stored image: everything named here is in storage.

    ``docker_manifest`` describes the same config and layers by schema 2, for clients that accept
    nothing newer; None for zstd layers.  ``blobs`` are the layers and the config that the
    manifests name.  ``warnings`` are sentences for the ``Warning`` header.
    """

    manifest: Descriptor
    docker_manifest: Descriptor | None
    blobs: _Blobs = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def manifests(self) -> tuple[Descriptor, ...]:
        """The manifests, that of schema 2 last."""
        docker = self.docker_manifest
        return (self.manifest,) if docker is None else (self.manifest, docker)
