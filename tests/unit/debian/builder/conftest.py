from pathlib import Path

import pytest

from tests.unit.debian.builder.units import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)
