"""The routes in-process: no port, no lifespan, no Nix, and no real time."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.state import WaitPolicy
from tests.api.registry import Registry, new_registry
from tests.virtualtime import virtual_backend


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


@pytest.fixture
def registry() -> Registry:
    return new_registry(WaitPolicy(redirect_seconds=20, redirects=3, hold_seconds=900))


@pytest.fixture
async def client(registry: Registry) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(registry.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
        yield client
    for event in registry.images.slow.values():
        event.set()
    await registry.jobs.drain(1)
