"""Records of packed store paths, and of layers of several paths."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter

from app.builder.images.image import Layer
from app.builder.images.packing.codec import Codec
from app.builder.nix.closure import StorePath
from app.oci import Digest
from app.storage.records.kind import Kind

# Images share most of their layers, and each needs the keys twice.
_KEYS = 256
_Bytes = Annotated[int, Field(ge=0)]
_Check = Annotated[int, Field(ge=0, lt=1 << 32)]


@dataclass(frozen=True, slots=True)
class PackedPath:
    """A store path as a layer of its own, and the places of its blocks in that blob.

    ``prefix``, ``blocks`` and ``end`` are lengths in bytes that add up to the blob's.
    ``tar_size`` is the size of the unpacked blocks, which have one size except the last.
    ``checks`` are their CRC-32.
    """

    layer: Layer
    tar_size: _Bytes
    prefix: _Bytes
    blocks: tuple[_Bytes, ...]
    checks: tuple[_Check, ...]
    end: _Bytes


def _complete(packed: PackedPath) -> PackedPath:
    """Return the argument.  Raises ValueError for lengths that do not add up, or missing checks."""
    if packed.prefix + sum(packed.blocks) + packed.end != packed.layer.descriptor.size:
        raise ValueError("the parts do not add up to the blob")
    if len(packed.checks) != len(packed.blocks):
        raise ValueError("not each block has a checksum")
    return packed


def _blob(layer: Layer) -> tuple[Digest, ...]:
    return (layer.descriptor.digest,)


PATHS = Kind(
    name="paths",
    format=2,
    adapter=TypeAdapter(Annotated[PackedPath, AfterValidator(_complete)]),
    references=lambda packed: _blob(packed.layer),
)
LAYERS = Kind(name="layers", format=1, adapter=TypeAdapter(Layer), references=_blob)


def path_key(codec: Codec, path: StorePath) -> Digest:
    return PATHS.key(codec=codec.identity, path=path.base)


def layer_key(codec: Codec, paths: tuple[StorePath, ...]) -> Digest:
    return _layer_key(codec.identity, paths)


@lru_cache(_KEYS)
def _layer_key(codec: str, paths: tuple[StorePath, ...]) -> Digest:
    return LAYERS.key(codec=codec, paths=[path.base for path in paths])


def contents_key(codec: Codec, entries: Digest) -> Digest:
    return LAYERS.key(codec=codec.identity, entries=str(entries))
