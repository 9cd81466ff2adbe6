"""Checks of readiness run once in a while, however many probes ask for their results."""

import asyncio
import contextlib

from app.builder.jobs.readiness import Check, CheckResult, Readiness
from app.errors import StorageUnavailable


class Disk:
    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self._error = error

    async def __call__(self) -> None:
        self.asked += 1
        if self._error:
            raise self._error


def readiness(run: Disk, now: list[float]) -> Readiness:
    return Readiness(
        checks=(Check("storage", run),),
        limit_seconds=0.05,
        remember_seconds=2,
        clock=lambda: now[0],
    )


async def test_many_probes_run_a_check_once() -> None:
    disk, now = Disk(), [0.0]
    ready = readiness(disk, now)

    answers = await asyncio.gather(*(ready.results() for _ in range(10)))
    assert answers == [(CheckResult("storage", ""),)] * 10
    assert disk.asked == 1
    now[0] = 2.5
    await ready.results()
    assert disk.asked == 2


async def test_the_message_of_a_failed_check_is_the_problem() -> None:
    ready = readiness(Disk(StorageUnavailable("the disk is full")), [0.0])

    assert await ready.results() == (CheckResult("storage", "the disk is full"),)


async def test_a_broken_check_is_a_problem_without_its_message() -> None:
    ready = readiness(Disk(ValueError("secret")), [0.0])

    (result,) = await ready.results()

    assert result.problem
    assert "secret" not in result.problem


async def test_a_check_that_hangs_is_a_problem_and_is_not_started_twice_at_once() -> None:
    released = asyncio.Event()
    starts = 0

    async def hang() -> None:
        nonlocal starts
        starts += 1
        while not released.is_set():
            # As work in a thread, which goes on when its caller is cancelled.
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    ready = Readiness(checks=(Check("storage", hang),), limit_seconds=0.05, remember_seconds=0)

    for _ in range(3):
        assert await ready.results() == (CheckResult("storage", "no result within 0.05 s"),)
    assert starts == 1
    released.set()

    assert await ready.results() == (CheckResult("storage", ""),)
