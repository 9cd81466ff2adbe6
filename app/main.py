"""The composition root: settings into services, services into one application."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI
from loguru import logger

from app.assembly import assemble
from app.builder.popularity.loading import PopularityUnavailable
from app.dependencies import provide, services_of
from app.errors import RegistryError
from app.log import VERSION
from app.routers.assembly import include_routers
from app.routers.pages import Pages
from app.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """An application whose services are made when it starts and closed when it stops."""
    app = FastAPI(
        title="Nixery",
        summary="A container registry in which the image name is the recipe",
        version=VERSION,
        # /docs is enough for people; both pages need scripts from elsewhere.
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        lifespan=partial(_lifespan, settings),
    )
    include_routers(app)
    if settings.web_dir is not None:
        app.mount("/", Pages(directory=settings.web_dir, html=True))
    return app


async def stop_building(app: FastAPI, seconds: float) -> None:
    """For the moment a stop is asked for: requests that wait for builds wait no longer then."""
    builds = services_of(app).builds
    logger.info("stopping: builds have {1:g} s, {0} are running", len(builds.running), seconds)
    await builds.drain(seconds)


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        try:
            state = await assemble(settings, stack)
        except (RegistryError, PopularityUnavailable) as error:
            # The process ends with this: the operator needs the sentence, not who said it.
            sys.tracebacklimit = 0
            raise error from None
        provide(app, state)
        logger.bind(storage=settings.storage.value).info("ready")
        yield
        await state.builds.drain(settings.drain_seconds)
