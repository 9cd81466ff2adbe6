"""Cancelled or not, the thread has ended when ``run`` ends."""

import asyncio
import gc
import os
import threading
from typing import Any

import anyio
import pytest
from anyio import CapacityLimiter

from app.system import threads
from tests.waiting import turns, until


@pytest.fixture
def limiter() -> CapacityLimiter:
    return CapacityLimiter(1)


async def test_the_result_and_the_failure_come_through(limiter: CapacityLimiter) -> None:
    assert await threads.run(lambda: 42, limiter=limiter) == 42
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0, limiter=limiter)
    assert limiter.available_tokens == 1


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancelled_caller_waits_for_its_thread(
    limiter: CapacityLimiter, times: int
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ended: list[bool] = []

    def work() -> None:
        begun.set()
        go_on.wait(300)
        ended.append(True)
        raise ValueError("its caller was cancelled")

    task = asyncio.create_task(threads.run(work, limiter=limiter))
    await anyio.to_thread.run_sync(begun.wait)
    for _ in range(times):
        task.cancel()
        await turns()
    assert not task.done()
    assert limiter.available_tokens == 0
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended == [True]
    assert limiter.available_tokens == 1


async def test_a_cancelled_scope_waits_too_without_spinning(limiter: CapacityLimiter) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ended: list[bool] = []
    turns = 0

    def work() -> None:
        begun.set()
        go_on.wait(300)
        ended.append(True)

    async def release() -> None:
        nonlocal turns
        await anyio.to_thread.run_sync(begun.wait)
        scope.cancel()
        for _ in range(20):
            await asyncio.sleep(0.005)
            turns += 1
        go_on.set()

    releasing = asyncio.create_task(release())
    with anyio.CancelScope() as scope:
        await threads.run(work, limiter=limiter)
    await releasing

    assert ended == [True]
    assert turns == 20


async def test_work_that_waits_for_a_thread_is_dropped_when_cancelled(
    limiter: CapacityLimiter,
) -> None:
    go_on = threading.Event()
    ran: list[bool] = []
    first = asyncio.create_task(threads.run(lambda: go_on.wait(300), limiter=limiter))
    second = asyncio.create_task(threads.run(lambda: ran.append(True), limiter=limiter))
    await until(lambda: limiter.statistics().tasks_waiting == 1)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    await first

    assert ran == []


@pytest.mark.parametrize("times", [1, 3])
async def test_a_file_opened_for_a_cancelled_caller_is_discarded(
    limiter: CapacityLimiter, times: int
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    discarded: list[str] = []

    def work() -> str:
        begun.set()
        go_on.wait(300)
        return "opened"

    task = asyncio.create_task(threads.run(work, limiter=limiter, discard=discarded.append))
    await anyio.to_thread.run_sync(begun.wait)
    for _ in range(times):
        task.cancel()
        await turns()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert discarded == ["opened"]


async def test_a_file_that_its_caller_receives_is_not_discarded(
    limiter: CapacityLimiter,
) -> None:
    discarded: list[int] = []

    assert await threads.run(lambda: 42, limiter=limiter, discard=discarded.append) == 42
    with anyio.CancelScope() as scope:
        scope.cancel()
        await threads.run(lambda: 43, limiter=limiter, discard=discarded.append)

    assert discarded == []


async def test_work_that_failed_for_a_cancelled_caller_leaves_nothing_to_discard(
    limiter: CapacityLimiter,
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    discarded: list[object] = []

    def work() -> None:
        begun.set()
        go_on.wait(300)
        raise ValueError("nothing was opened")

    task = asyncio.create_task(threads.run(work, limiter=limiter, discard=discarded.append))
    await anyio.to_thread.run_sync(begun.wait)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert discarded == []


async def test_work_that_checks_ends_when_its_caller_is_cancelled(limiter: CapacityLimiter) -> None:
    begun = threading.Event()
    ends: list[str] = []

    def work() -> None:
        begun.set()
        try:
            while True:
                threads.check()
        except threads.Stopped:
            ends.append("stopped")
            raise

    task = asyncio.create_task(threads.run(work, limiter=limiter))
    await anyio.to_thread.run_sync(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ends == ["stopped"]
    assert limiter.available_tokens == 1
    threads.check()


async def test_work_that_is_wanted_is_not_stopped_by_another_that_is_not() -> None:
    limiter = CapacityLimiter(2)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait(300)
        threads.check()
        return "done"

    wanted = asyncio.create_task(threads.run(work, limiter=limiter))
    unwanted = asyncio.create_task(threads.run(work, limiter=limiter))
    await anyio.to_thread.run_sync(begun.wait)
    unwanted.cancel()
    await asyncio.sleep(0)
    go_on.set()

    assert await wanted == "done"
    await asyncio.wait({unwanted})


@pytest.mark.parametrize("times", [1, 3])
async def test_a_discarded_result_is_closed_in_a_thread(
    limiter: CapacityLimiter, times: int
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    closed_by: list[int] = []

    def work() -> str:
        begun.set()
        go_on.wait(300)
        return "opened"

    task = asyncio.create_task(
        threads.run(
            work, limiter=limiter, discard=lambda _: closed_by.append(threading.get_ident())
        )
    )
    await anyio.to_thread.run_sync(begun.wait)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len(closed_by) == 1
    assert closed_by[0] != threading.get_ident()


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_release_runs_in_a_thread_to_its_end_whatever_is_cancelled(times: int) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ran_in: list[int] = []

    def release() -> str:
        begun.set()
        go_on.wait(300)
        ran_in.append(threading.get_ident())
        threads.check()
        return "released"

    task = asyncio.create_task(threads.finish(release))
    await anyio.to_thread.run_sync(begun.wait)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    if times:
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert await task == "released"

    assert len(ran_in) == 1
    assert ran_in[0] != threading.get_ident()


async def test_a_release_that_fails_raises_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        await threads.finish(lambda: 1 // 0)


async def test_background_work_has_a_lower_priority(limiter: CapacityLimiter) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert await threads.run(niceness, limiter=limiter) == before
    assert await threads.run(niceness, limiter=limiter, background=True) == min(before + 3, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_started_threads_are_as_many_as_can_work_at_a_time() -> None:
    def counts() -> dict[str, int]:
        names = [thread.name.partition("_")[0] for thread in threading.enumerate()]
        return {name: names.count(name) for name in ("nixery", "background")}

    wanted = {name: count + 2 for name, count in counts().items()}

    threads.start(wanted["nixery"], background=wanted["background"])

    assert all(counts()[name] >= count for name, count in wanted.items())


async def test_an_error_of_a_release_that_was_cancelled_is_retrieved() -> None:
    """Otherwise asyncio would report it to the event loop's handler of errors."""
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    begun, go_on = threading.Event(), threading.Event()

    def release() -> None:
        begun.set()
        go_on.wait(300)
        raise OSError

    task = asyncio.create_task(threads.finish(release))
    await anyio.to_thread.run_sync(begun.wait)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    await asyncio.sleep(0)
    gc.collect()

    assert unhandled == []
