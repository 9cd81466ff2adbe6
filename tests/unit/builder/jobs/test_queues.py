"""Queues: bounded running and waiting work, and estimates of when to retry."""

import asyncio
import time
from collections.abc import Callable

import pytest

from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.errors import TooManyRequests


async def occupy(queue: WorkQueue, until: asyncio.Event, progress: Progress | None = None) -> None:
    async with queue.slot(progress or Progress()):
        await until.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def new_queue(
    *,
    at_once: int = 2,
    waiting: int = 3,
    expected_seconds: float = 10,
    clock: Callable[[], float] = time.monotonic,
) -> WorkQueue:
    return WorkQueue(
        "evaluation",
        at_once=at_once,
        waiting=waiting,
        expected_seconds=expected_seconds,
        clock=clock,
    )


async def test_no_more_than_its_slots_run_at_once() -> None:
    queue = new_queue()
    end = asyncio.Event()
    tasks = [asyncio.ensure_future(occupy(queue, end)) for _ in range(5)]
    await settle()

    assert (queue.active, queue.waiting) == (2, 3)
    end.set()
    await asyncio.gather(*tasks)
    assert (queue.active, queue.waiting) == (0, 0)


async def test_a_full_queue_refuses_work_with_the_time_until_it_has_a_place() -> None:
    queue = new_queue()
    end = asyncio.Event()
    tasks = [asyncio.ensure_future(occupy(queue, end)) for _ in range(5)]
    await settle()

    with pytest.raises(TooManyRequests) as caught:
        await occupy(queue, end)

    assert caught.value.retry_after == 20  # (3 + 1) x 10 s / 2 at once
    end.set()
    await asyncio.gather(*tasks)


async def test_the_estimate_follows_measured_durations() -> None:
    queue = new_queue()
    done = asyncio.Event()
    done.set()

    for _ in range(30):
        await occupy(queue, done)

    assert queue.retry_after == 1


async def test_a_long_build_in_the_only_slot_counts_more_than_quick_ones_before_it(
    clock: Clock,
) -> None:
    queue = new_queue(at_once=1, waiting=0, expected_seconds=2, clock=clock)
    end = asyncio.Event()
    running = asyncio.ensure_future(occupy(queue, end))
    await settle()

    waits = []
    while clock.now < 30:  # as podman does: it retries after the time of the response
        with pytest.raises(TooManyRequests) as caught:
            await occupy(queue, end)
        waits.append(caught.value.retry_after)
        clock.now += waits[-1]

    assert waits == [2, 2, 4, 8, 16]
    end.set()
    await running


async def test_the_estimate_looks_at_the_work_in_each_slot(clock: Clock) -> None:
    queue = new_queue(at_once=2, waiting=3, expected_seconds=10, clock=clock)
    end = asyncio.Event()
    tasks = [asyncio.ensure_future(occupy(queue, end))]
    await settle()
    clock.now = 60
    assert queue.retry_after == 1  # the other slot is free
    tasks += [asyncio.ensure_future(occupy(queue, end)) for _ in range(3)]
    await settle()

    assert (queue.active, queue.waiting) == (2, 2)
    assert queue.retry_after == 30  # two after the young one, 10 s each; the old one needs 60
    clock.now = 100
    assert queue.retry_after == 60  # 40 s and two more, before the old one's 100
    end.set()
    await asyncio.gather(*tasks)


async def test_the_estimate_has_a_limit(clock: Clock) -> None:
    queue = new_queue(at_once=1, clock=clock)
    end = asyncio.Event()
    running = asyncio.ensure_future(occupy(queue, end))
    await settle()

    clock.now = 7200

    assert queue.retry_after == 600
    end.set()
    await running


async def test_waiters_are_served_in_the_order_they_came() -> None:
    queue = new_queue(at_once=1)
    served: list[int] = []

    async def visit(number: int) -> None:
        async with queue.slot(Progress()):
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(visit(number) for number in range(4)))

    assert served == [0, 1, 2, 3]


async def test_cancelled_work_releases_its_place_in_the_queue() -> None:
    queue = new_queue(at_once=1, waiting=1)
    end = asyncio.Event()
    running = asyncio.ensure_future(occupy(queue, end))
    waiting = asyncio.ensure_future(occupy(queue, end))
    await settle()

    waiting.cancel()
    await asyncio.wait({waiting})
    assert queue.waiting == 0
    next_one = asyncio.ensure_future(occupy(queue, end))
    await settle()

    assert queue.waiting == 1
    end.set()
    await asyncio.gather(running, next_one)


async def test_failed_work_releases_its_slot() -> None:
    queue = new_queue(at_once=1, waiting=0)

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            async with queue.slot(Progress()):
                raise ValueError("broken")

    assert queue.active == 0


async def test_progress_distinguishes_waiting_from_working() -> None:
    queue = new_queue(at_once=1)
    end, progress = asyncio.Event(), Progress()
    first = asyncio.ensure_future(occupy(queue, end))
    await settle()
    second = asyncio.ensure_future(occupy(queue, end, progress))
    await settle()

    assert progress.stage == "waiting for evaluation, 0 ahead"
    end.set()
    await asyncio.gather(first, second)
    assert progress.stage == "evaluation"
