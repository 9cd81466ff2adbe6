"""Documents about pulls that have not happened yet; the framework is not needed for them."""

from app.builder.builds.preview import ImagePreview, Place, PreviewedImage
from app.reference import RepositoryName, Tag
from app.routers.plan_schemas import (
    ArchitectureLacking,
    ImagePlan,
    PlannedImage,
    PlannedLayer,
    PlannedPackage,
    PlannedPath,
    Totals,
)
from app.text.sanitize import one_line

_LISTED = 1_000
_LIMIT = 500


def plan_of(name: RepositoryName, tag: Tag, preview: ImagePreview) -> ImagePlan:
    return ImagePlan(
        name=str(name),
        tag=str(tag),
        source=preview.source,
        revision=preview.revision,
        digest=str(preview.digest or ""),
        architectures=[_image(image) for image in preview.images],
        left_out=[
            ArchitectureLacking(architecture=one.architecture, reason=one_line(one.reason, _LIMIT))
            for one in preview.lacking
        ],
    )


def _image(image: PreviewedImage) -> PlannedImage:
    return PlannedImage(
        architecture=image.architecture,
        digest=str(image.digest or ""),
        complete=image.is_complete,
        packages=[
            PlannedPackage(
                name=one_line(one.attribute, _LIMIT),
                version=one_line(one.version, _LIMIT),
                path=str(one.path),
                place=one.place,
            )
            for one in image.packages
        ],
        totals=_totals(image),
        layers=[
            PlannedLayer(
                paths=len(layer.paths),
                first=layer.paths[0].name,
                nar_size=layer.nar_size,
                size=layer.size,
                stored=layer.is_stored,
            )
            for layer in image.layers
        ],
        paths=[
            PlannedPath(
                path=str(one.path),
                place=one.place,
                nar_size=one.nar_size,
                size=one.size,
                cache=one_line(one.cache, _LIMIT),
                download_size=one.download_size,
            )
            for one in image.paths[:_LISTED]
        ],
        builds=[str(one) for one in image.builds[:_LISTED]],
    )


def _totals(image: PreviewedImage) -> Totals:
    return Totals(
        paths={place: sum(one.place is place for one in image.paths) for place in Place},
        nar_size=sum(one.nar_size or 0 for one in image.paths),
        size=sum(one.size or 0 for one in image.paths),
        download_size=sum(one.download_size or 0 for one in image.paths),
        builds=len(image.builds),
        layers=image.layer_count if image.is_complete else None,
    )
