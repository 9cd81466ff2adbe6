import asyncio

import pytest

from app.system.concurrency import KeyedLock, gather


async def test_one_key_has_one_holder_and_others_do_not_wait() -> None:
    locks: KeyedLock[str] = KeyedLock()
    held: list[str] = []

    async def hold(key: str) -> None:
        async with locks.holding(key):
            held.append(key)
            await asyncio.sleep(0.01)
            held.remove(key)
            assert key not in held

    await asyncio.gather(*(hold(key) for key in "aabba"))

    assert not locks._locks


async def test_results_come_in_order_and_a_failure_as_itself() -> None:
    async def after(seconds: float, value: str) -> str:
        await asyncio.sleep(seconds)
        if value == "bad":
            raise ValueError(value)
        return value

    assert await gather([after(0.02, "a"), after(0, "b")]) == ("a", "b")
    with pytest.raises(ValueError, match="bad"):
        await gather([after(10, "a"), after(0, "bad")])


async def test_a_single_coroutine_runs_in_the_task_of_its_caller() -> None:
    async def task() -> asyncio.Task[None] | None:
        return asyncio.current_task()

    assert await gather([task()]) == (asyncio.current_task(),)
    assert await gather([]) == ()
    with pytest.raises(ValueError, match="bad"):
        await gather([failing("bad")])


async def failing(message: str) -> None:
    raise ValueError(message)


async def test_many_coroutines_do_not_start_in_one_turn_of_the_event_loop() -> None:
    loop = asyncio.get_running_loop()
    started = turns = 0
    most = 0

    async def start() -> None:
        nonlocal started
        started += 1

    def turn(before: int) -> None:
        nonlocal most, turns
        turns += 1
        most = max(most, started - before)
        if started < 1000:
            loop.call_soon(turn, started)

    loop.call_soon(turn, 0)
    await gather(start() for _ in range(1000))

    assert (started, most <= 32, turns > 20) == (1000, True, True)


async def test_coroutines_that_follow_a_failure_are_not_started() -> None:
    started: list[int] = []

    async def start(number: int) -> None:
        started.append(number)
        if number == 3:
            raise ValueError(number)

    with pytest.raises(ValueError, match="3"):
        await gather([start(number) for number in range(1000)])

    assert len(started) < 100
