"""An image of the server in other layers: the same files, grouped and compressed by another rule."""

import io
import json
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.builder.nix.closure import StorePath
from app.oci import Digest, MediaType
from app.storage.blobs import BlobStore
from app.storage.filesystem import FilesystemStorage
from bench.grouping.clients import Layers

_GZIP = 31
_LEVEL = 6
_END = bytes(1024)


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the registry; ``size`` is what a client downloads."""

    digest: str
    layers: int
    size: int


@dataclass(slots=True)
class Contents:
    """Tar entries of an image's store paths, and of everything else in it by name."""

    paths: dict[StorePath, bytearray]
    parents: bytearray
    rest: dict[str, bytes]


def read_contents(layers: Sequence[bytes]) -> Contents:
    """Split the gzip layers of an image, given from the bottom, at the borders of store paths."""
    contents = Contents({}, bytearray(), {})
    for layer in layers:
        tar = _decompress(layer)
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            members = archive.getmembers()
        ends = [*(member.offset for member in members[1:]), len(tar)]
        store_only = all(_is_in_store(member) for member in members)
        for member, end in zip(members, ends, strict=True):
            entry = tar[member.offset : end]
            if end == len(tar):
                entry = entry[: _padded_end(member) - member.offset]
            if not store_only:
                contents.rest[member.name] = entry
            elif (path := _store_path(member.name)) is not None:
                contents.paths.setdefault(path, bytearray()).extend(entry)
            elif layer is layers[0]:
                contents.parents += entry
    return contents


def _is_in_store(member: tarfile.TarInfo) -> bool:
    return member.name in {"nix", "nix/store"} or member.name.startswith("nix/store/")


def _store_path(name: str) -> StorePath | None:
    parts = name.split("/")
    return StorePath.parse(parts[2]) if len(parts) > 2 else None


def _padded_end(member: tarfile.TarInfo) -> int:
    size = member.size if member.isreg() else 0
    return member.offset_data + -(-size // 512) * 512


def _decompress(layer: bytes) -> bytes:
    """Decompress all members of a gzip file."""
    parts = []
    while layer:
        stream = zlib.decompressobj(_GZIP)
        parts.append(stream.decompress(layer))
        layer = stream.unused_data
    return b"".join(parts)


def compress(tar: bytes) -> bytes:
    """Compress as Go's registry does: zlib's level 6, one stream."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return stream.compress(tar) + stream.flush()


async def write_image(
    storage: Path, config: dict[str, Any], contents: Contents, layers: Layers
) -> Image:
    """Store the image in these layers, with everything else in one on top."""
    files = FilesystemStorage(storage)
    await files.start()
    blobs = BlobStore(files)
    tars = [
        b"".join([contents.parents, *(contents.paths[path] for path in layer), _END])
        for layer in layers
    ]
    descriptors, diff_ids = [], []
    for tar in (*tars, b"".join((*contents.rest.values(), _END))):
        blob = compress(tar)
        descriptors.append(
            _descriptor(MediaType.OCI_LAYER_GZIP, await blobs.write_blob(blob), blob)
        )
        diff_ids.append(str(Digest.of(tar)))
    history = [{"created": config["created"], "created_by": "bench"}] * len(diff_ids)
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    body = json.dumps(config | {"rootfs": rootfs, "history": history}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MediaType.OCI_MANIFEST,
        "config": _descriptor(MediaType.OCI_CONFIG, await blobs.write_blob(body), body),
        "layers": descriptors,
    }
    document = json.dumps(manifest).encode()
    digest = await blobs.write_manifest(document)
    await files.close()
    return described(str(digest), document)


def _descriptor(media_type: MediaType, digest: Digest, body: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": len(body)}


def described(digest: str, document: bytes) -> Image:
    """Return the layers and the bytes of a manifest's image."""
    manifest = json.loads(document)
    parts = (manifest["config"], *manifest["layers"])
    return Image(digest, len(manifest["layers"]), len(document) + sum(p["size"] for p in parts))
