"""The specification's suite, of the routes around images without Nix."""

from collections.abc import Iterator

import httpx
import pytest

from app.state import WaitPolicy
from tests.api.registry import new_registry
from tests.conformance import Conformance, Image
from tests.served import served

NAME = "shell/git"


@pytest.fixture(scope="module")
def registry() -> Iterator[httpx.Client]:
    app = new_registry(WaitPolicy(redirect_seconds=5, redirects=9, hold_seconds=5)).app
    with served(app) as address, httpx.Client(base_url=address, timeout=300) as client:
        yield client


@pytest.fixture(scope="module")
def image(registry: httpx.Client) -> Image:
    manifest = registry.get(f"/v2/{NAME}/manifests/latest")
    return Image(NAME, ("latest", "nixos-25.05"), manifest.headers["docker-content-digest"])


class TestRoutes(Conformance):
    pass
