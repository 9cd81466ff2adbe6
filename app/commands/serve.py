"""``nixery serve``: settings, log, application and server, and the exit status."""

import gc
import resource
import sys
from functools import partial

from loguru import logger

from app.main import create_app, stop_building
from app.server.server import Server
from app.settings.loading import SettingsError, load_settings
from app.telemetry import log

# Enough for twenty thousand downloads; beyond, programs in builds that close every number one by
# one would take their time.
_FILES = 1 << 16


def serve() -> None:
    """Exit status 1 for a configuration that cannot be used, 3 if the server cannot start."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"nixery: {error}")
    log.set_up(level=settings.log_level, form=settings.log_format)
    _allow_files()
    app = create_app(settings)
    server = Server(
        app,
        host=settings.host,
        port=settings.port,
        drain_seconds=settings.drain_seconds,
        on_stop=partial(stop_building, app),
    )
    try:
        server.listen()
    except OSError as error:
        logger.error("cannot listen on {}:{}: {}", settings.host, settings.port, error.strerror)
        sys.exit(3)
    # Python's collector would look through all that stays for good now and then, and hold every
    # request for some 50 ms meanwhile.
    gc.collect()
    gc.freeze()
    server.run()


def _allow_files() -> None:
    """A download costs three descriptors, and the usual limit of 1024 is meant for select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
