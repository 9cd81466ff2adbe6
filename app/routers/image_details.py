"""Details of built images, from their stored manifests and configs; nothing is built."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.exceptions import HTTPException

from app.builder.builds.contents_record import PackageFacts
from app.builder.builds.layer_use import LayerCounts
from app.builder.builds.recent import RecentImage
from app.builder.images.image import Built, BuiltImage
from app.errors import BlobUnknown
from app.oci import Digest, MediaType
from app.reference import ImageReference, RepositoryName, Tag
from app.routers.image_schemas import (
    ArchitectureDetails,
    ImageDetails,
    ImageDifference,
    LayerDetails,
    PackageChange,
    PackageDetails,
)
from app.state import AppState
from app.text.sanitize import one_line

_LIMIT = 500
_SHOWN = 2_000
# As Nix splits names: a version starts with a digit.
_VERSIONED = re.compile(r"(.+?)-(\d.*)")


class ImageNotBuilt(HTTPException):
    """The server knows no image of this name; its plan shows what a pull takes."""

    def __init__(self, name: RepositoryName, tag: Tag) -> None:
        image = f"{name}:{tag}"
        super().__init__(404, f"{image} was not built or pulled here lately; a pull builds it")
        self.plan = f"/plan/{image}"


async def details_of(services: AppState, name: RepositoryName, tag: Tag) -> ImageDetails:
    """Read the details of a built image.

    Raises ImageNotBuilt, NameInvalid, StorageUnavailable.
    """
    reference = ImageReference(name, tag)
    built = await services.images.built(reference)
    found = _of_built(built) if built else _of_recent(await services.images.recent.find(reference))
    if found is None:
        raise ImageNotBuilt(name, tag)
    digest, media_type, manifests = found
    counts = await services.layer_use.counts()
    return ImageDetails(
        name=str(name),
        tag=str(tag),
        digest=str(digest),
        media_type=media_type,
        recent_images=counts.images,
        architectures=[await _architecture(services, one, counts) for one in manifests],
    )


def difference(before: ImageDetails, after: ImageDetails, architecture: str) -> ImageDifference:
    """Compare the images of one architecture.  Raises HTTPException if one lacks it."""
    old, new = (_of(image, architecture) for image in (before, after))
    stored = {layer.digest for layer in old.layers}
    lacking = {layer.digest: layer.size for layer in new.layers if layer.digest not in stored}
    return ImageDifference(
        name=after.name,
        before=before.tag,
        after=after.tag,
        architecture=new.architecture,
        packages=_changes(old.packages, new.packages),
        layers_shared=len(new.layers) - len(lacking),
        layers_new=len(lacking),
        size=new.size,
        download_size=sum(lacking.values()),
    )


_Found = tuple[Digest, MediaType, tuple[Digest, ...]]


def _of_built(built: Built) -> _Found:
    document = built.manifest if isinstance(built, BuiltImage) else built.index
    images = [built] if isinstance(built, BuiltImage) else [child.image for child in built.children]
    return document.digest, document.media_type, tuple(one.manifest.digest for one in images)


def _of_recent(image: RecentImage | None) -> _Found | None:
    """Return an image that was pulled before a restart; its tag may have moved since."""
    return (image.digest, image.media_type, image.manifests) if image else None


async def _architecture(
    services: AppState, digest: Digest, counts: LayerCounts
) -> ArchitectureDetails:
    manifest = json.loads((await services.manifests.read(digest)).body)
    config_digest = Digest.parse(manifest["config"]["digest"])
    try:
        document = json.loads(await services.blobs.read(config_digest))
    except BlobUnknown:
        services.existence.invalidate(config_digest)
        raise
    execution: Mapping[str, Any] = document.get("config", {})
    history = [one_line(item.get("created_by", ""), _LIMIT) for item in document.get("history", ())]
    layers = manifest["layers"]
    history += [""] * (len(layers) - len(history))
    labels = execution.get("Labels", {})
    recorded = (await services.images.packages(digest)).packages
    return ArchitectureDetails(
        architecture=document["architecture"],
        digest=str(digest),
        config_digest=str(config_digest),
        created=document.get("created", ""),
        size=sum(layer["size"] for layer in layers),
        command=[one_line(word, _LIMIT) for word in execution.get("Cmd", ())],
        user=execution.get("User", ""),
        environment=[one_line(item, _LIMIT) for item in execution.get("Env", ())],
        labels={one_line(key, _LIMIT): one_line(text, _LIMIT) for key, text in labels.items()},
        packages=_recorded(recorded) or _packages(labels.get("nixery.packages", "")),
        layers=[
            LayerDetails(
                digest=layer["digest"],
                size=layer["size"],
                contents=contents,
                images=max(counts.by_layer.get(layer["digest"], 0), 1),
            )
            for layer, contents in zip(layers, history, strict=False)
        ],
    )


def _recorded(packages: Iterable[PackageFacts]) -> list[PackageDetails]:
    return [
        PackageDetails(
            name=one_line(one.attribute, _LIMIT),
            version=one_line(one.version, _LIMIT),
            licenses=[one_line(name, _LIMIT) for name in one.licenses],
            description=one_line(one.description, _LIMIT),
            homepage=one_line(one.homepage, _LIMIT),
        )
        for one in sorted(packages, key=lambda one: one.attribute)
    ]


def _packages(label: str) -> list[PackageDetails]:
    """Return the packages of an image without a record: it was made by an earlier version."""
    items = [one_line(item, _LIMIT) for item in label.split()[:_SHOWN]]
    found = [(item, _VERSIONED.fullmatch(item)) for item in items]
    return [
        PackageDetails(
            name=match[1] if match else item,
            version=match[2] if match else "",
            licenses=[],
            description="",
            homepage="",
        )
        for item, match in found
    ]


def _changes(old: list[PackageDetails], new: list[PackageDetails]) -> list[PackageChange]:
    before, after = ({one.name: one.version for one in packages} for packages in (old, new))
    return [
        PackageChange(name=name, before=before.get(name, ""), after=after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _of(image: ImageDetails, architecture: str) -> ArchitectureDetails:
    for one in image.architectures:
        if one.architecture == architecture:
            return one
    raise HTTPException(404, f"{image.name}:{image.tag} has no image for {architecture}")
