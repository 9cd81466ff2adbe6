"""``nixery serve``: settings, log, services and server, and the exit status."""

import asyncio
import resource
import signal
import socket
import sys
from functools import partial

import uvloop
from loguru import logger

from app.commands.exit_status import CANNOT_START
from app.errors import OperatorError, RegistryError
from app.server.interpreter import collect_rarely
from app.server.listening import listen, url_of
from app.server.server import Server
from app.server.signals import StopSignals
from app.settings.loading import SettingsError, load_settings
from app.settings.settings import Settings
from app.state import Jobs
from app.system import threads
from app.telemetry import log
from app.wiring.http import create_app
from app.wiring.services import open_services

# Enough for twenty thousand downloads.  Programs in builds that close every descriptor one by
# one are slow with a higher limit.
_FILES = 1 << 16
# With fewer, some hundred clients use all of them: further ones are then disconnected without a
# response, and builds fail.
_FEW_FILES = 1000
# A first pull uses 17 threads for short work at a time; more are started on demand.
_THREADS = 24


def serve() -> None:
    """Exit with status 1 for unusable settings and 3 if the server cannot start."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"nixery: {error}")
    files = _allow_files()
    with log.in_background(sys.stderr) as stream:
        log.set_up(level=settings.log_level, form=settings.log_format, stream=stream)
        if files < _FEW_FILES:
            logger.warning(
                "only {} files and connections may be open at a time: raise the limit"
                " (LimitNOFILE of systemd, ulimit -n)",
                files,
            )
        received = _listen_and_serve(settings)
    if received is not None:
        signal.raise_signal(received)


def _listen_and_serve(settings: Settings) -> signal.Signals | None:
    """Return the signal that stopped the server.  Raises SystemExit if it cannot start."""
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        logger.error("cannot listen on {}:{}: {}", settings.host, settings.port, error.strerror)
        sys.exit(CANNOT_START)
    logger.info("listening on {}", url_of(listener))
    try:
        with listener:
            return uvloop.run(_serve(settings, listener))
    except (OperatorError, RegistryError) as error:
        logger.error("{}", error)
        sys.exit(CANNOT_START)


async def _serve(settings: Settings, listener: socket.socket) -> signal.Signals | None:
    """Return the signal that stopped the server.  Raises OperatorError, RegistryError."""
    opening = asyncio.current_task()
    assert opening is not None, "runs as a task"
    with StopSignals(opening.cancel) as signals:
        try:
            await _open_and_serve(settings, listener, signals)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            logger.info("stopped before the server was ready")
        return signals.received


async def _open_and_serve(
    settings: Settings, listener: socket.socket, signals: StopSignals
) -> None:
    async with open_services(settings) as services:
        server = Server(
            create_app(settings, services),
            listener,
            drain_seconds=settings.drain_seconds,
            on_stop=partial(_drain, services.jobs),
        )
        signals.on_stop = server.stop
        # One more for packing: a thread counts as idle only a moment after its work has ended.
        threads.start(_THREADS, background=settings.workers + 1)
        logger.bind(storage=settings.storage.value).info("ready")
        collect_rarely()
        await server.serve()


async def _drain(jobs: Jobs, seconds: float) -> None:
    logger.info("stopping: builds have {1:g} s, {0} are running", len(jobs.running), seconds)
    await jobs.drain(seconds)


def _allow_files() -> int:
    """Raise the soft limit: a download needs three descriptors, and 1024 is the usual limit.

    Return the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
