import asyncio
from pathlib import Path

import pytest

from app.system.disk_space import DiskFull, DiskSpace
from app.system.workers import Workers

MORE_THAN_THERE_IS = 1 << 62


async def work(event: asyncio.Event) -> str:
    await event.wait()
    return "done"


async def test_work_is_cancelled_where_less_is_free_than_has_to_be(tmp_path: Path) -> None:
    space = DiskSpace(directory=tmp_path, least=MORE_THAN_THERE_IS, workers=Workers(1))
    never = asyncio.Event()
    task = asyncio.ensure_future(work(never))

    async def watched() -> str:
        return await task

    with pytest.raises(DiskFull, match="MiB have to stay free"):
        await space.during(watched())

    assert task.cancelled()


@pytest.mark.parametrize("least", [0, 1])
async def test_work_ends_by_itself_where_enough_is_free(tmp_path: Path, least: int) -> None:
    space = DiskSpace(directory=tmp_path, least=least, workers=Workers(1))
    at_once = asyncio.Event()
    at_once.set()

    assert await space.during(work(at_once)) == "done"


async def test_a_caller_that_is_cancelled_cancels_the_work(tmp_path: Path) -> None:
    space = DiskSpace(directory=tmp_path, least=1, workers=Workers(1))
    started, never = asyncio.Event(), asyncio.Event()
    cancelled = asyncio.Event()

    async def endless() -> None:
        started.set()
        try:
            await never.wait()
        finally:
            cancelled.set()

    task = asyncio.ensure_future(space.during(endless()))
    await started.wait()

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert cancelled.is_set()
