import asyncio

import pytest

from app.system.single_flight import SingleFlight


class Work:
    def __init__(self) -> None:
        self.flights: SingleFlight[str, int] = SingleFlight()
        self.may_end = asyncio.Event()
        self.started = 0
        self.ended = 0

    async def __call__(self) -> int:
        self.started += 1
        try:
            await self.may_end.wait()
            return self.started
        finally:
            self.ended += 1

    def call(self, key: str = "key") -> asyncio.Task[int]:
        return asyncio.create_task(self.flights.run(key, self))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_of_one_key_share_the_work_and_its_result() -> None:
    work = Work()
    calls = [work.call(), work.call(), work.call("another")]
    await settle()
    work.may_end.set()

    assert await asyncio.gather(*calls) == [2, 2, 2]
    assert work.started == 2


async def test_a_caller_that_leaves_does_not_cancel_the_work_of_the_others() -> None:
    work = Work()
    first, second = work.call(), work.call()
    await settle()

    first.cancel()
    await settle()
    assert work.ended == 0
    work.may_end.set()

    assert await second == 1


async def test_work_is_cancelled_with_its_last_caller_and_started_again_by_the_next() -> None:
    work = Work()
    first = work.call()
    await settle()
    first.cancel()
    second = work.call()
    await settle()

    assert (work.started, work.ended) == (2, 1)
    work.may_end.set()
    assert await second == 2


async def test_cancel_ends_all_work_and_its_callers() -> None:
    work = Work()
    calls = [work.call(), work.call("another")]
    await settle()

    await work.flights.cancel()

    assert work.ended == 2
    for call in calls:
        with pytest.raises(asyncio.CancelledError):
            await call
