"""Built images: packages, layers, pull commands, and what differs between two tags.

These routes never start a build.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.reference import LATEST, TAG_PATTERN, RepositoryName, Tag
from app.routers.address import address, registry_host
from app.routers.dependencies import Repository, Services
from app.routers.image_details import details_of, difference
from app.routers.image_schemas import ArchitectureDetails, ImageDetails, ImageDifference
from app.routers.schemas import ERROR
from app.routers.web.rendering import page

router = APIRouter(tags=["packages"])
pages = APIRouter(include_in_schema=False)

_ERRORS: dict[int | str, dict[str, Any]] = {400: ERROR, 404: ERROR, 503: ERROR}
_TAG = {"pattern": f"^{TAG_PATTERN}$"}
_Architecture = Annotated[
    str, Query(description="Of images with several; by default that of the server")
]


@router.get(
    "/api/images/{name:path}",
    summary="A built image: its packages, layers and sizes",
    responses=_ERRORS,
)
async def get_image(
    name: Repository,
    services: Services,
    tag: Annotated[str, Query(json_schema_extra=_TAG)] = LATEST,
) -> ImageDetails:
    return await details_of(services, name, Tag.parse(tag))


@router.get(
    "/api/diff/{name:path}",
    summary="What changes for a client that has one tag and pulls another",
    responses=_ERRORS,
)
async def get_difference(
    name: Repository,
    services: Services,
    before: Annotated[str, Query(json_schema_extra=_TAG, description="The tag it has")],
    after: Annotated[
        str, Query(json_schema_extra=_TAG, description="The tag that it pulls")
    ] = LATEST,
    architecture: _Architecture = "",
) -> ImageDifference:
    old = await details_of(services, name, Tag.parse(before))
    new = await details_of(services, name, Tag.parse(after))
    return difference(old, new, _chosen(new, architecture or services.architecture))


@pages.get("/images/{image:path}")
async def get_image_page(
    request: Request,
    image: str,
    services: Services,
    before: Annotated[str, Query(max_length=128)] = "",
) -> Response:
    name, _, tag = image.partition(":")
    repository = RepositoryName.parse(name)
    details = await details_of(services, repository, Tag.parse(tag or LATEST))
    changes = None
    if before:
        old = await details_of(services, repository, Tag.parse(before))
        changes = difference(old, details, _chosen(details, services.architecture))
    return page(
        "image.html",
        image=details,
        before=before,
        changes=changes,
        largest={one.architecture: _largest(one) for one in details.architectures},
        commands=_commands(request, f"{details.name}:{details.tag}"),
    )


def _chosen(image: ImageDetails, architecture: str) -> str:
    """Return the architecture of an image that has only one, whatever the client wants."""
    names = [one.architecture for one in image.architectures]
    return names[0] if len(names) == 1 else architecture


def _largest(image: ArchitectureDetails) -> int:
    return max((layer.size for layer in image.layers), default=0) or 1


def _commands(request: Request, image: str) -> list[tuple[str, str]]:
    """Return each client's command; most need an option for a registry without TLS."""
    plain = not address(request).startswith("https://")
    copied = f"skopeo copy {'--src-tls-verify=false ' if plain else ''}docker://"
    full = f"{registry_host(request)}/{image}"
    archive = image.replace("/", "-").replace(":", "-")
    return [
        ("Docker", f"docker pull {full}"),
        ("podman", f"podman pull {'--tls-verify=false ' if plain else ''}{full}"),
        ("containerd", f"ctr images pull {'--plain-http ' if plain else ''}{full}"),
        ("skopeo", f"{copied}{full} oci-archive:{archive}.tar"),
    ]
