"""What a route may ask for; the only reader of ``app.state``.

``async def`` throughout, though little is awaited: FastAPI sends plain functions to threads.
"""

from typing import Annotated, cast

from fastapi import Depends, FastAPI, Path, Request

from app.oci import Digest
from app.reference import ImageReference, RepositoryName
from app.state import AppState


def provide(app: FastAPI, state: AppState) -> None:
    app.state.services = state


def services_of(app: FastAPI) -> AppState:
    return cast("AppState", app.state.services)


async def _services(request: Request) -> AppState:
    return services_of(request.app)


async def _reference(
    name: Annotated[str, Path(description="Packages, separated by slashes: `shell/git/htop`")],
    reference: Annotated[str, Path(description="A tag or a digest")],
) -> ImageReference:
    return ImageReference.parse(name, reference)


async def _repository(
    name: Annotated[str, Path(description="Packages, separated by slashes: `shell/git/htop`")],
) -> RepositoryName:
    return RepositoryName.parse(name)


async def _digest(
    name: Annotated[str, Path(description="Packages, separated by slashes: `shell/git/htop`")],
    digest: Annotated[str, Path(description="`sha256:` and 64 lower-case hexadecimal digits")],
) -> Digest:
    RepositoryName.parse(name)
    return Digest.parse(digest)


Services = Annotated[AppState, Depends(_services)]
Reference = Annotated[ImageReference, Depends(_reference)]
Repository = Annotated[RepositoryName, Depends(_repository)]
ContentDigest = Annotated[Digest, Depends(_digest)]
