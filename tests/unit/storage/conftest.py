"""Disks for tests of storage."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.mounting import mounted

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Called with the arguments of mount(8), all but the directory; gives the directory."""
    with ExitStack() as mounts:

        def mount_next(*arguments: str) -> Path:
            directory = tmp_path / f"mount-{'-'.join(arguments).replace('/', '-')}"
            return mounts.enter_context(mounted(arguments, directory))

        yield mount_next
