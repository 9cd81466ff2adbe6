from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.builder.evaluation import isolation
from tests.fakes.package_set import Attribute
from tests.unit.builder.assembled import Opener

Open = Callable[[Mapping[str, Attribute]], Opener]


@pytest.fixture
async def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    monkeypatch.setattr(isolation, "_LEAST_SECONDS", 0.01)
    async with AsyncExitStack() as stack:
        yield lambda attributes: Opener(tmp_path, stack, attributes)
