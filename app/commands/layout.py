"""An image as files: the OCI image layout, with what older loaders of Docker need beside it."""

from collections.abc import Mapping
from typing import Any

from app.builder.images.image import Built, BuiltImage, BuiltIndex
from app.oci import Descriptor, MediaType, canonical_json
from app.reference import ImageReference

_LAYOUT = canonical_json({"imageLayoutVersion": "1.0.0"})
_TAG = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"


def images_of(built: Built) -> tuple[BuiltImage, ...]:
    """Return the images of all architectures."""
    if isinstance(built, BuiltIndex):
        return tuple(child.image for child in built.children)
    return (built,)


def image_for(built: Built, architecture: str) -> BuiltImage:
    """Return the image of this architecture, or the first if there is none."""
    if isinstance(built, BuiltImage):
        return built
    fitting = (child.image for child in built.children if child.architecture == architecture)
    return next(fitting, built.children[0].image)


def top_of(built: Built) -> Descriptor:
    """Return what the registry serves under the tag."""
    return built.index if isinstance(built, BuiltIndex) else built.manifest


def manifests_of(built: Built) -> tuple[Descriptor, ...]:
    """Return the OCI manifests, the top one last."""
    if isinstance(built, BuiltImage):
        return (built.manifest,)
    images = images_of(built)
    zstd = (image.zstd_manifest for image in images if image.zstd_manifest is not None)
    return (*(image.manifest for image in images), *zstd, built.index)


def blobs_of(built: Built) -> tuple[Descriptor, ...]:
    """Return the layers and configs of these manifests, each once."""
    unique = {blob.digest: blob for image in images_of(built) for blob in image.blobs}
    if isinstance(built, BuiltImage) and built.zstd_manifest is not None:
        # The layers in zstd belong to the index.
        unique = {d: b for d, b in unique.items() if b.media_type != MediaType.OCI_LAYER_ZSTD}
    return tuple(unique[digest] for digest in sorted(unique))


def documents_of(
    built: Built, reference: ImageReference, loaded: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the documents of a layout (image-spec, image-layout.md).

    ``loaded`` is the manifest of the image that ``docker load`` takes: release 20.10 reads
    ``manifest.json`` (moby, image/spec/v1.2.md) and knows no index.
    """
    top = top_of(built)
    name = f"{reference.name}:{reference.reference}"
    index = {
        "schemaVersion": 2,
        "mediaType": MediaType.OCI_INDEX,
        "manifests": [
            {
                "mediaType": top.media_type,
                "digest": str(top.digest),
                "size": top.size,
                "annotations": {_TAG: str(reference.reference), _CONTAINERD_NAME: name},
            }
        ],
    }
    docker = {
        "Config": _path(loaded["config"]["digest"]),
        "RepoTags": [name],
        "Layers": [_path(layer["digest"]) for layer in loaded["layers"]],
    }
    return {
        "oci-layout": _LAYOUT,
        "index.json": canonical_json(index),
        "manifest.json": canonical_json([docker]),
    }


def path_of(blob: Descriptor) -> str:
    return _path(str(blob.digest))


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
