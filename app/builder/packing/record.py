"""What is remembered of a packed store path, and of a layer made of several."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.builder.closure import StorePath
from app.builder.image import Layer
from app.builder.packing.codec import Codec
from app.oci import Descriptor, Digest, MediaType, canonical_json


@dataclass(frozen=True, slots=True)
class PackedPath:
    """A store path as a layer of its own, and where its members lie in that blob.

    ``prefix``, ``members`` and ``end`` are lengths in bytes and add up to the blob's;
    ``tar_size`` is what the members alone unpack to, every one but the last to a whole block.
    """

    layer: Layer
    tar_size: int
    prefix: int
    members: tuple[int, ...]
    end: int


def path_key(codec: Codec, path: StorePath) -> Digest:
    return Digest.of(canonical_json({"codec": codec.identity, "path": path.base}))


def layer_key(codec: Codec, paths: Sequence[StorePath]) -> Digest:
    bases = [path.base for path in paths]
    return Digest.of(canonical_json({"codec": codec.identity, "paths": bases}))


def contents_key(codec: Codec, entries: Digest) -> Digest:
    return Digest.of(canonical_json({"codec": codec.identity, "entries": str(entries)}))


def layer_document(layer: Layer) -> dict[str, object]:
    return {
        "mediaType": layer.descriptor.media_type.value,
        "digest": str(layer.descriptor.digest),
        "size": layer.descriptor.size,
        "diffId": str(layer.diff_id),
    }


def parse_layer(document: dict[str, object]) -> Layer:
    """Raises what parsers of records may raise."""
    return Layer(
        Descriptor(
            MediaType(_text(document["mediaType"])),
            Digest.parse(_text(document["digest"])),
            _count(document["size"]),
        ),
        Digest.parse(_text(document["diffId"])),
    )


def path_document(packed: PackedPath) -> dict[str, object]:
    return layer_document(packed.layer) | {
        "tarSize": packed.tar_size,
        "prefix": packed.prefix,
        "members": list(packed.members),
        "end": packed.end,
    }


def parse_path(document: dict[str, object]) -> PackedPath:
    members = document["members"]
    if not isinstance(members, list):
        raise TypeError("members is not a list")
    packed = PackedPath(
        layer=parse_layer(document),
        tar_size=_count(document["tarSize"]),
        prefix=_count(document["prefix"]),
        members=tuple(_count(length) for length in members),
        end=_count(document["end"]),
    )
    if packed.prefix + sum(packed.members) + packed.end != packed.layer.descriptor.size:
        raise ValueError("the parts do not add up to the blob")
    return packed


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"not a number of bytes: {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a string: {value!r}")
    return value
