"""What is remembered of a packed store path, and of a layer made of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter

from app.builder.images.image import Layer
from app.builder.images.packing.codec import Codec
from app.builder.nix.closure import StorePath
from app.oci import Digest
from app.storage.records.kind import Kind

_Bytes = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class PackedPath:
    """A store path as a layer of its own, and where its members lie in that blob.

    ``prefix``, ``members`` and ``end`` are lengths in bytes and add up to the blob's;
    ``tar_size`` is what the members alone unpack to, every one but the last to a whole block.
    """

    layer: Layer
    tar_size: _Bytes
    prefix: _Bytes
    members: tuple[_Bytes, ...]
    end: _Bytes


def _complete(packed: PackedPath) -> PackedPath:
    """Raises ValueError."""
    if packed.prefix + sum(packed.members) + packed.end != packed.layer.descriptor.size:
        raise ValueError("the parts do not add up to the blob")
    return packed


def _blob(layer: Layer) -> tuple[Digest, ...]:
    return (layer.descriptor.digest,)


PATHS = Kind(
    name="paths",
    format=1,
    adapter=TypeAdapter(Annotated[PackedPath, AfterValidator(_complete)]),
    references=lambda packed: _blob(packed.layer),
)
LAYERS = Kind(name="layers", format=1, adapter=TypeAdapter(Layer), references=_blob)


def path_key(codec: Codec, path: StorePath) -> Digest:
    return PATHS.key(codec=codec.identity, path=path.base)


def layer_key(codec: Codec, paths: Sequence[StorePath]) -> Digest:
    return LAYERS.key(codec=codec.identity, paths=[path.base for path in paths])


def contents_key(codec: Codec, entries: Digest) -> Digest:
    return LAYERS.key(codec=codec.identity, entries=str(entries))
