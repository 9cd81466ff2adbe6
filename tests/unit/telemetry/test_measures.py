"""The delay of the event loop and the space of disks, by a clock of the tests."""

import asyncio
from typing import Any

import pytest
from loguru import logger

from app.telemetry.measures import DiskSpace, Measures
from tests.virtualtime import VirtualTimeLoop, virtual_backend


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


async def test_the_delay_is_the_time_that_other_work_keeps_the_loop() -> None:
    measures, loop = Measures(), asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    watching = asyncio.create_task(measures.watch_loop())
    await asyncio.sleep(0)

    # Work that takes 100 s on the loop's thread: one measurement is late by nearly all of it.
    loop._pass(100)
    for _ in range(5):
        await asyncio.sleep(0)
    late = measures.loop_delay._sum.get()
    await asyncio.sleep(50)
    watching.cancel()

    assert 90 < late <= 100
    assert measures.loop_delay._sum.get() == late


async def test_a_disk_is_logged_each_time_that_it_becomes_low() -> None:
    free = iter([900, 9, 8, 900, 7, 7])

    async def disks() -> dict[str, DiskSpace]:
        return {"storage": DiskSpace(next(free) * 10**9, 10**12), "state": DiskSpace(9, 10)}

    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(str(line)), format="{level} {message}")
    watching = asyncio.create_task(Measures(disks=disks).watch_disks())
    await asyncio.sleep(5 * 60 + 1)
    watching.cancel()
    logger.remove(handler)

    assert lines == [
        f"WARNING the disk of storage is almost full: {left}.0 of 1,000.0 GB are free\n"
        for left in ("9", "7")
    ]
