"""Built images: packages, layers, pull commands, and what differs between two tags.

These routes never start a build.
"""

from functools import partial
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import APIRouter, Query, Request, Response

from app.oci import Digest
from app.reference import LATEST, TAG_PATTERN, RepositoryName, Tag
from app.routers.address import address, registry_host
from app.routers.dependencies import Repository, Services
from app.routers.image_details import details_of, difference
from app.routers.image_schemas import ArchitectureDetails, ImageDetails, ImageDifference
from app.routers.schemas import ERROR
from app.routers.web.closure_graph import Graph, closure_graph
from app.routers.web.rendering import page
from app.routers.web.treemap import Area, treemap
from app.state import AppState
from app.system import threads

router = APIRouter(tags=["packages"])
pages = APIRouter(include_in_schema=False)

_ERRORS: dict[int | str, dict[str, Any]] = {400: ERROR, 404: ERROR, 503: ERROR}
_DRAWING = CapacityLimiter(2)  # threads
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
        areas={one.architecture: _areas(one) for one in details.architectures},
        graphs=await _graphs(services, details),
        commands=_commands(request, f"{details.name}:{details.tag}"),
    )


def _chosen(image: ImageDetails, architecture: str) -> str:
    """Return the architecture of an image that has only one, whatever the client wants."""
    names = [one.architecture for one in image.architectures]
    return names[0] if len(names) == 1 else architecture


def _areas(image: ArchitectureDetails) -> list[Area]:
    return treemap([layer.size for layer in image.layers])


async def _graphs(services: AppState, image: ImageDetails) -> dict[str, Graph]:
    """Return a graph by architecture, as far as closures are recorded."""
    graphs = {}
    for one in image.architectures:
        contents = await services.images.packages(Digest.parse(one.digest))
        if contents.closure is not None:
            paths = [package.path for package in contents.packages]
            draw = partial(closure_graph, contents.closure, paths)
            graphs[one.architecture] = await threads.run(draw, limiter=_DRAWING)
    return graphs


def _commands(request: Request, image: str) -> list[tuple[str, str]]:
    """Return each client's command; most need an option for a registry without TLS."""
    plain = not address(request).startswith("https://")
    copied = f"skopeo copy {'--src-tls-verify=false ' if plain else ''}docker://"
    full = f"{registry_host(request)}/{image}"
    archive = image.replace("/", "-").replace(":", "-")
    return [
        ("Docker", f"docker pull {full}"),
        ("containerd, nerdctl", f"nerdctl {'--insecure-registry ' if plain else ''}pull {full}"),
        ("podman", f"podman pull {'--tls-verify=false ' if plain else ''}{full}"),
        ("containerd, ctr", f"ctr images pull {'--plain-http ' if plain else ''}{full}"),
        ("buildah", f"buildah from {'--tls-verify=false ' if plain else ''}{full}"),
        ("skopeo", f"{copied}{full} oci-archive:{archive}.tar"),
        ("crane", f"crane pull {'--insecure ' if plain else ''}--format=oci {full} {archive}"),
    ]
