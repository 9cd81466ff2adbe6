"""What a route may ask for; the only reader of ``app.state``.

``async def`` throughout, though little is awaited: FastAPI sends plain functions to threads.
"""

from typing import Annotated, cast

from fastapi import Depends, FastAPI, Path, Request

from app.oci import Digest
from app.reference import NAME_LIMIT, NAME_PATTERN, TAG_PATTERN, ImageReference, RepositoryName
from app.state import AppState


def provide(app: FastAPI, state: AppState) -> None:
    app.state.services = state


def services_of(app: FastAPI) -> AppState:
    return cast("AppState", app.state.services)


async def _services(request: Request) -> AppState:
    return services_of(request.app)


_Name = Annotated[
    str,
    Path(
        description="Packages, separated by slashes: `shell/git/htop`",
        json_schema_extra={"pattern": f"^{NAME_PATTERN}$", "maxLength": NAME_LIMIT},
    ),
]
_DIGEST = "sha256:[a-f0-9]{64}"


async def _reference(
    name: _Name,
    reference: Annotated[
        str,
        Path(
            description="A tag or a digest",
            json_schema_extra={"pattern": f"^(?:{TAG_PATTERN}|{_DIGEST})$"},
        ),
    ],
) -> ImageReference:
    return ImageReference.parse(name, reference)


async def _repository(name: _Name) -> RepositoryName:
    return RepositoryName.parse(name)


async def _digest(
    name: _Name,
    digest: Annotated[str, Path(json_schema_extra={"pattern": f"^{_DIGEST}$"})],
) -> Digest:
    RepositoryName.parse(name)
    return Digest.parse(digest)


Services = Annotated[AppState, Depends(_services)]
Reference = Annotated[ImageReference, Depends(_reference)]
Repository = Annotated[RepositoryName, Depends(_repository)]
ContentDigest = Annotated[Digest, Depends(_digest)]
