"""Dependencies of routes; the only module that accesses ``app.state``.

Dependencies are ``async def`` because FastAPI runs plain functions in threads.  The routes of
manifests and blobs, which get nearly all requests, call plain functions instead: resolving
dependencies costs a third of such a request.  Their parameters are described by hand.
"""

from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Path, Request

from app.oci import Digest
from app.reference import NAME_LIMIT, NAME_PATTERN, TAG_PATTERN, ImageReference, RepositoryName
from app.state import AppState

_NAME_DESCRIPTION = "Packages, separated by slashes: `shell/git/htop`"
_NAME_SCHEMA: dict[str, Any] = {"pattern": f"^{NAME_PATTERN}$", "maxLength": NAME_LIMIT}
_DIGEST = "sha256:[a-f0-9]{64}"


def provide(app: FastAPI, state: AppState) -> None:
    app.state.services = state


def services_of(app: FastAPI) -> AppState:
    return cast("AppState", app.state.services)


def services(request: Request) -> AppState:
    return services_of(request.app)


def image_reference(request: Request) -> ImageReference:
    """Parse the path of a request.  Raises NameInvalid, DigestInvalid, ImageUnknown."""
    path = request.path_params
    return ImageReference.parse(path["name"], path["reference"])


def content_digest(request: Request) -> Digest:
    """Parse the path of a request.  Raises NameInvalid, DigestInvalid."""
    path = request.path_params
    RepositoryName.parse(path["name"])
    return Digest.parse(path["digest"])


def _described(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "string", **schema}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


_NAME = _described("name", _NAME_DESCRIPTION, _NAME_SCHEMA)
IMAGE_REFERENCE: dict[str, Any] = {
    "parameters": [
        _NAME,
        _described("reference", "A tag or a digest", {"pattern": f"^(?:{TAG_PATTERN}|{_DIGEST})$"}),
    ]
}
CONTENT_DIGEST: dict[str, Any] = {
    "parameters": [
        _NAME,
        _described("digest", "The digest of the content", {"pattern": f"^{_DIGEST}$"}),
    ]
}
"""This and IMAGE_REFERENCE are values for ``openapi_extra`` of routes that call those functions."""


async def _services(request: Request) -> AppState:
    return services_of(request.app)


async def _repository(
    name: Annotated[str, Path(description=_NAME_DESCRIPTION, json_schema_extra=_NAME_SCHEMA)],
) -> RepositoryName:
    return RepositoryName.parse(name)


Services = Annotated[AppState, Depends(_services)]
Repository = Annotated[RepositoryName, Depends(_repository)]
