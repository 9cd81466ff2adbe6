"""The ASGI application: routes, middleware, and the services that they use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from loguru import logger

from app.routers.dependencies import provide
from app.routers.forwarded import Forwarded
from app.routers.register import include_routers
from app.routers.traced import TracedRequests
from app.settings.settings import Settings
from app.state import AppState
from app.telemetry.log import VERSION
from app.wiring.services import open_services


def create_app(settings: Settings, services: AppState | None = None) -> FastAPI:
    """Return the application; without ``services`` its lifespan opens and closes them."""
    app = FastAPI(
        title="Nixery",
        summary="A container registry in which the image name is the recipe",
        version=VERSION,
        # The framework's pages load scripts from other hosts; app.routers.front has /docs.
        docs_url=None,
        redoc_url=None,
        lifespan=partial(_lifespan, settings) if services is None else None,
    )
    include_routers(app, web_dir=settings.web_dir)
    app.add_middleware(Forwarded, trusted=settings.trusted_proxies, header=settings.proxy_header)
    if services is not None:
        if services.tracing is not None:
            app.add_middleware(TracedRequests, tracing=services.tracing)
        provide(app, services)
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    async with open_services(settings) as services:
        provide(app, services)
        logger.bind(storage=settings.storage.value).info("ready")
        yield
        await services.jobs.drain(settings.drain_seconds)
