"""All routes on one application, the same for the server and for tests."""

from fastapi import FastAPI

from app.routers import (
    catalog,
    errors,
    health,
    manifests,
    referrers,
    tags,
    version,
)
from app.routers.gate import Gate


def include_routers(app: FastAPI) -> None:
    """The state is provided separately (app.dependencies.provide), before the first request."""
    # The framework's redirects to a path with or without slash are absolute, with the wrong
    # scheme behind a proxy.
    app.router.redirect_slashes = False
    app.add_middleware(Gate)
    errors.install(app)
    for module in (manifests, version, tags, referrers, catalog, health):
        app.include_router(module.router)
