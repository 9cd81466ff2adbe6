"""Register all routes on an application, for the server and for tests."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from app.routers import (
    blobs,
    build_events,
    builds,
    catalog,
    debug,
    errors,
    front,
    health,
    images,
    manifests,
    metrics,
    openapi_headers,
    plans,
    referrers,
    search,
    tags,
    version,
    warming,
)
from app.routers.direct import Direct
from app.routers.gate import Gate
from app.routers.paced import Paced
from app.routers.schemas import ERROR
from app.routers.web.static_pages import Pages

# The interface of this package is a wrapper around FastAPI; its files are Swagger UI's own.
_SWAGGER = Path(str(files("fastapi_offline"))) / "static"
_STATIC = Path(__file__).parent / "web" / "static"


def include_routers(app: FastAPI, *, web_dir: Path | None = None) -> None:
    """Register routes and pages; those in ``web_dir`` replace the front page.

    Services are provided separately (app.routers.dependencies.provide), before any request.
    """
    # The framework's redirects to a path with or without slash are absolute, with the wrong
    # scheme behind a proxy.
    app.router.redirect_slashes = False
    # What is added last runs first.
    app.add_middleware(Paced)
    app.add_middleware(Direct)
    app.add_middleware(Gate)
    errors.install(app)
    app.openapi = partial(_describe, app.openapi)  # type: ignore[method-assign]  # FastAPI's way
    # Manifests and blobs get nearly all requests.
    registry = (manifests, blobs, version, tags, referrers, catalog)
    services = (health, builds, build_events, debug, metrics, search, images, plans, warming)
    for module in (*registry, *services):
        app.include_router(module.router, responses={"4XX": ERROR, "5XX": ERROR})
    app.include_router(front.router)
    app.include_router(images.pages)
    app.include_router(plans.pages)
    app.mount("/static/swagger", StaticFiles(directory=_SWAGGER))
    app.mount("/static", StaticFiles(directory=_STATIC))
    if web_dir is None:
        app.include_router(front.front)
    else:
        app.mount("/", Pages(directory=web_dir, html=True))


def _describe(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the interface description with the headers of all responses."""
    description = describe()
    openapi_headers.add_common(description)
    return description
