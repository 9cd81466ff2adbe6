"""Fixtures of the unit tests."""

from collections.abc import Iterator
from functools import cache

import httpx
import pytest


@pytest.fixture(scope="session", autouse=True)
def shared_certificates() -> Iterator[None]:
    """Parse the machine's certificates once; every client of httpx would parse them again."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        transport = httpx._transports.default
        monkeypatch.setattr(transport, "create_ssl_context", cache(httpx.create_ssl_context))
        yield
