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


@pytest.mark.slow
@pytest.mark.parametrize(("trusted", "count"), [("127.0.0.0/8", 1), ("10.0.0.0/8", 0)])
async def test_headers_of_trusted_proxies_count(tmp_path: Path, trusted: str, count: int) -> None:
    registry = new_registry(WaitPolicy(hold_seconds=60, redirects=1, redirect_seconds=1))
    settings = Settings.model_validate({"state_path": tmp_path, "trusted_proxies": trusted})
    app = create_app(settings, registry.state)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("127.0.0.1", 1)), base_url="http://localhost"
    ) as client:
        response = await client.get("/debug", headers={"X-Request-Id": "of-the-proxy"})

    assert response.headers.get_list("X-Request-Id").count("of-the-proxy") == count
