"""The delay of the event loop is measured, by a clock of the tests."""

import asyncio
from typing import Any

import pytest

from app.telemetry.measures import Measures
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
