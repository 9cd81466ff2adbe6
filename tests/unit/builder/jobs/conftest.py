"""No real time: what a test waits for is certain, whatever else the machine does."""

from typing import Any

import pytest

from tests.virtualtime import virtual_backend


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()
