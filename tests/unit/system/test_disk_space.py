from pathlib import Path

import pytest

from app.system.disk_space import DiskFull, DiskSpace
from app.system.workers import Workers

MORE_THAN_THERE_IS = 1 << 62


async def test_less_space_than_has_to_be_free_is_an_error(tmp_path: Path) -> None:
    space = DiskSpace(directory=tmp_path, least=MORE_THAN_THERE_IS, workers=Workers(1))

    with pytest.raises(DiskFull, match="MiB have to stay free"):
        await space.check()


@pytest.mark.parametrize("least", [0, 1])
async def test_enough_free_space_is_checked_again_after_the_interval(
    tmp_path: Path, least: int
) -> None:
    space = DiskSpace(directory=tmp_path, least=least, workers=Workers(1), interval_seconds=3)

    assert await space.check() == 3
