"""Reservations of bytes that are in use together."""

import asyncio

import pytest

from app.builder.nix.substitution.volume import Volume
from tests.waiting import turns


class User:
    """A task that holds a reservation until ``end`` is set."""

    def __init__(self, volume: Volume, size: int) -> None:
        self.holds = False
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._run(volume, size))

    async def _run(self, volume: Volume, size: int) -> None:
        async with volume.reserve(size):
            self.holds = True
            await self.end.wait()

    async def finish(self) -> None:
        self.end.set()
        await self.task


async def users(volume: Volume, *sizes: int) -> list[User]:
    found = [User(volume, size) for size in sizes]
    await turns()
    return found


async def test_largest_of_the_waiting_reservations_is_granted_first() -> None:
    volume = Volume(10)
    [first] = await users(volume, 10)
    waiting = await users(volume, 2, 9, 3)
    small, large, middle = waiting

    await first.finish()
    await turns()
    assert [one.holds for one in waiting] == [False, True, False]

    await large.finish()
    await turns()
    assert (small.holds, middle.holds) == (True, True)
    await small.finish()
    await middle.finish()


async def test_small_reservation_waits_for_a_bounded_number_of_larger_ones() -> None:
    volume = Volume(10)
    [first] = await users(volume, 10)
    [small] = await users(volume, 1)
    granted = [first, *await users(volume, *[10] * 40)]

    for one in granted[:32]:
        await one.finish()
    await turns()

    assert small.holds
    await asyncio.gather(small.finish(), *(one.finish() for one in granted[32:]))


async def test_reservation_waits_until_there_is_room() -> None:
    first, second, large, small = await users(Volume(10), 6, 4, 5, 1)
    assert [one.holds for one in (first, second, large, small)] == [True, True, False, False]

    await second.finish()
    await turns()
    assert (large.holds, small.holds) == (False, False)  # the larger one goes first

    await first.finish()
    await turns()
    assert (large.holds, small.holds) == (True, True)
    await large.finish()
    await small.finish()


async def test_reservation_larger_than_all_has_all_for_itself() -> None:
    small, large, last = await users(Volume(10), 1, 100, 1)
    assert not large.holds

    await small.finish()
    await turns()

    assert (large.holds, last.holds) == (True, False)
    await large.finish()
    await last.finish()


async def test_cancelled_reservation_lets_the_next_pass() -> None:
    first, cancelled, next_one = await users(Volume(10), 6, 10, 4)

    cancelled.task.cancel()
    await turns()

    assert next_one.holds
    await first.finish()
    await next_one.finish()


async def test_reservation_cancelled_when_it_is_granted_is_released() -> None:
    volume = Volume(10)
    first, cancelled = await users(volume, 10, 10)

    first.end.set()
    cancelled.task.cancel()  # before it runs
    with pytest.raises(asyncio.CancelledError):
        await cancelled.task
    await first.task

    async with asyncio.timeout(5), volume.reserve(10):
        pass


async def test_reservation_granted_and_cancelled_in_one_turn_is_released() -> None:
    volume = Volume(10)
    first = volume.reserve(10)
    await first.__aenter__()
    [waiting] = await users(volume, 10)

    await first.__aexit__(None, None, None)  # grants the waiting one, which has not run yet
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task

    async with asyncio.timeout(5), volume.reserve(10):
        pass


async def test_reservation_with_the_most_work_is_granted_first() -> None:
    volume = Volume(10)
    await volume.take(10)
    order: list[str] = []

    async def use(name: str, size: int, work: int) -> None:
        async with volume.reserve(size, work=work):
            order.append(name)

    tasks = [
        asyncio.create_task(use("large", 10, 10)),
        asyncio.create_task(use("compressed", 5, 50)),
    ]
    await turns()
    volume.release(10)
    await asyncio.gather(*tasks)

    assert order == ["compressed", "large"]
