"""The application for an ASGI server of the operator's choice: ``uvicorn app.main:app``.

It opens its services when its lifespan starts.  ``nixery serve`` does more: it sends files with
the kernel's help, limits connections, and drains builds while responses are still being sent.
"""

import sys

from app.settings.loading import SettingsError, load_settings
from app.telemetry import log
from app.wiring.http import create_app

try:
    _settings = load_settings()
except SettingsError as error:
    sys.exit(f"nixery: {error}")
log.set_up(level=_settings.log_level, form=_settings.log_format)
app = create_app(_settings)
