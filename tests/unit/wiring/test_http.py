"""The application as it is served: its pages, and services that are open already."""

from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from app.settings.settings import Settings
from app.state import WaitPolicy
from app.wiring.http import create_app
from tests.api.registry import new_registry


def test_the_framework_adds_no_pages_but_those_documented(tmp_path: Path) -> None:
    app = create_app(Settings(state_path=tmp_path))

    own = {route.path for route in app.routes if type(route) is Route}

    assert own == {"/openapi.json"}


@pytest.mark.slow
async def test_services_that_are_open_are_served_without_a_lifespan(tmp_path: Path) -> None:
    registry = new_registry(WaitPolicy(hold_seconds=60, redirects=1, redirect_seconds=1))
    app = create_app(Settings(state_path=tmp_path), registry.state)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        response = await client.get("/debug")

    assert response.json()["version"] == "1.2.3"
