"""Register all routes on an application, for the server and for tests."""

from fastapi import FastAPI

from app.routers import (
    blobs,
    builds,
    catalog,
    debug,
    errors,
    health,
    manifests,
    metrics,
    referrers,
    search,
    tags,
    version,
)
from app.routers.direct import Direct
from app.routers.gate import Gate
from app.routers.schemas import ERROR


def include_routers(app: FastAPI) -> None:
    """Services are provided separately (app.routers.dependencies.provide), before any request."""
    # The framework's redirects to a path with or without slash are absolute, with the wrong
    # scheme behind a proxy.
    app.router.redirect_slashes = False
    app.add_middleware(Direct)
    app.add_middleware(Gate)  # in front of Direct: what is added last runs first
    errors.install(app)
    # Manifests and blobs get nearly all requests.
    registry = (manifests, blobs, version, tags, referrers, catalog)
    for module in (*registry, health, builds, debug, metrics, search):
        app.include_router(module.router, responses={"4XX": ERROR, "5XX": ERROR})
