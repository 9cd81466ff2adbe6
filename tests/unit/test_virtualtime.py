"""The event loop of tests that must not wait."""

import asyncio
import time
from typing import Any

import pytest

from tests.virtualtime import virtual_backend


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


async def test_timers_end_in_their_order_without_real_time() -> None:
    ended: list[int] = []
    begun = time.monotonic()

    async def sleep(seconds: int) -> None:
        await asyncio.sleep(seconds)
        ended.append(seconds)

    await asyncio.gather(sleep(3600), sleep(20), sleep(900))

    assert ended == [20, 900, 3600]
    assert asyncio.get_running_loop().time() == pytest.approx(3600)
    assert time.monotonic() - begun < 600


async def test_the_clock_stands_still_while_there_is_work() -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def work_then_wait() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)
        assert loop.time() == begun
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(work_then_wait(), 1)
    assert loop.time() == pytest.approx(begun + 1)
