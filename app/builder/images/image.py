"""The values that a build produces, in the order in which it makes them."""

from dataclasses import dataclass
from itertools import chain
from typing import Annotated

from pydantic import Field, PlainSerializer

from app.builder.nix.closure import StorePath
from app.oci import Descriptor, Digest


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """Store paths that share a layer, sorted by (name, base)."""

    paths: tuple[StorePath, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A stored layer.

    ``diff_id`` is the digest of the uncompressed tar (image-spec, config.md "Layer DiffID").
    ``zstd`` is the same tar in zstd beside gzip, if the server makes both.  It has a record of its
    own, and is not part of this one's.
    """

    descriptor: Descriptor
    diff_id: Digest
    zstd: Annotated[Descriptor | None, Field(exclude=True)] = None


def _in_order(blobs: frozenset[Descriptor]) -> list[Descriptor]:
    return sorted(blobs, key=lambda blob: blob.digest)


# Written in one order, since the order of a set differs between processes.
_Blobs = Annotated[frozenset[Descriptor], PlainSerializer(_in_order)]


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A stored image: everything named here is in storage.

    ``docker_manifest`` describes the same config and layers by schema 2, for clients that accept
    nothing newer; None for zstd layers.  ``zstd_manifest`` describes the same config and the same
    layers in zstd, if the server makes both codecs.  ``blobs`` are the layers and the config that
    the manifests name.  ``warnings`` are sentences for the ``Warning`` header.
    """

    manifest: Descriptor
    docker_manifest: Descriptor | None
    blobs: _Blobs = frozenset()
    warnings: tuple[str, ...] = ()
    zstd_manifest: Descriptor | None = None

    @property
    def manifests(self) -> tuple[Descriptor, ...]:
        return _given(self.manifest, self.docker_manifest, self.zstd_manifest)


@dataclass(frozen=True, slots=True)
class Child:
    """The image of one architecture in an index."""

    architecture: str
    image: BuiltImage


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An architecture that the revision has no image for; ``reason`` is a line for the user."""

    architecture: str
    reason: str


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """A stored index and its images: everything named here is in storage.

    ``docker_list`` describes the same images by Docker's manifest list, for clients that accept
    nothing newer; None for zstd layers.  ``children`` are in the order of the index.
    """

    index: Descriptor
    docker_list: Descriptor | None
    children: tuple[Child, ...]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def manifests(self) -> tuple[Descriptor, ...]:
        """The stored indexes, and the manifests of all children."""
        manifests = chain.from_iterable(child.image.manifests for child in self.children)
        return (*_given(self.index, self.docker_list), *manifests)

    @property
    def blobs(self) -> frozenset[Descriptor]:
        return frozenset(chain.from_iterable(child.image.blobs for child in self.children))


Built = BuiltImage | BuiltIndex
"""The result of a job."""


def _given(*documents: Descriptor | None) -> tuple[Descriptor, ...]:
    return tuple(document for document in documents if document is not None)
