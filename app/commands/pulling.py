"""Build images in this process, with the services of the server's settings and without a port."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.builder.images.image import Built
from app.commands.standard_streams import report
from app.commands.terminal import ProgressLine
from app.reference import ImageReference
from app.settings.loading import load_settings
from app.state import AppState
from app.telemetry import log
from app.text.sanitize import one_line
from app.wiring.services import open_services

_INTERVAL_SECONDS = 0.2
_WARNING_LIMIT = 1000


@asynccontextmanager
async def services() -> AsyncIterator[AppState]:
    """Open the services.  Raises SettingsError, and what opening them raises."""
    settings = load_settings()
    log.set_up(level="WARNING", form=settings.log_format)
    async with open_services(settings) as opened:
        yield opened


async def build_image(state: AppState, reference: ImageReference) -> Built:
    """Wait for an image, and show what its build does.  Raises the error of the build."""
    pull = state.images.pull(reference, client="")
    line = ProgressLine(sys.stderr)
    try:
        while (built := await pull.wait(_INTERVAL_SECONDS)) is None:
            if line.is_due():
                line.show(f"{reference.name}: {pull.stage or 'starting'}, {line.elapsed:.0f} s")
    finally:
        line.clear()
    for warning in built.warnings:
        report(f"warning: {one_line(warning, _WARNING_LIMIT)}\n")
    return built
