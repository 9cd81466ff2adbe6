"""The composition root: settings into services, services into one application."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI
from loguru import logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.builder.images.profile_loading import PopularityUnavailable
from app.errors import OperatorError, RegistryError
from app.routers.dependencies import provide, services_of
from app.routers.forwarded import Forwarded
from app.routers.register import include_routers
from app.routers.web.static_pages import Pages
from app.settings.settings import Settings
from app.telemetry.log import VERSION
from app.wiring.services import assemble


class CannotStart(OperatorError):
    """The message is for the operator, who needs neither a traceback nor this name with it."""


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
    app.add_middleware(Forwarded, trusted=settings.trusted_proxies, header=settings.proxy_header)
    app.add_middleware(_Start)
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
            sys.tracebacklimit = 0  # the process ends with this
            raise CannotStart(str(error)) from None
        provide(app, state)
        logger.bind(storage=settings.storage.value).info("ready")
        yield
        await state.builds.drain(settings.drain_seconds)


class _Start:
    """What the framework says of a start that failed begins with the name of the exception."""

    _NAME = f"{CannotStart.__module__}.{CannotStart.__qualname__}: "

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                sentence = message["message"].removeprefix(self._NAME).rstrip()
                message = {**message, "message": sentence}
            await send(message)

        await self._app(scope, receive, say if scope["type"] == "lifespan" else send)
