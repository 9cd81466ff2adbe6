"""The application as it is served, before anything is started."""

from pathlib import Path

from starlette.routing import Route

from app.settings.settings import Settings
from app.wiring.http import create_app


def test_the_framework_adds_no_pages_but_those_documented(tmp_path: Path) -> None:
    app = create_app(Settings(state_path=tmp_path))

    own = {route.path for route in app.routes if type(route) is Route}

    assert own == {"/openapi.json"}
