"""Probes may come as often as they like; what they ask is asked once in a while."""

import asyncio
import threading
from functools import partial

from app.builder.jobs.readiness import Check, Finding, Readiness
from app.errors import StorageUnavailable
from app.system.workers import Workers


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


async def test_many_probes_ask_once() -> None:
    disk, now = Disk(), [0.0]
    ready = readiness(disk, now)

    answers = await asyncio.gather(*(ready.findings() for _ in range(10)))
    assert answers == [(Finding("storage", ""),)] * 10
    assert disk.asked == 1
    now[0] = 2.5
    await ready.findings()
    assert disk.asked == 2


async def test_a_problem_is_told_in_its_own_words() -> None:
    ready = readiness(Disk(StorageUnavailable("the disk is full")), [0.0])

    assert await ready.findings() == (Finding("storage", "the disk is full"),)


async def test_a_broken_check_is_a_problem_and_no_error() -> None:
    ready = readiness(Disk(ValueError("secret")), [0.0])

    (finding,) = await ready.findings()

    assert finding.problem
    assert "secret" not in finding.problem


async def test_silence_is_a_problem_also_of_a_thread_that_cannot_be_stopped() -> None:
    begun = threading.Event()
    disk_answers = threading.Event()
    workers = Workers(1)

    def hang() -> None:
        assert not begun.is_set(), "begun again before it ended"
        begun.set()
        assert disk_answers.wait(30)

    ready = Readiness(
        checks=(Check("storage", partial(workers.run, hang)),),
        limit_seconds=0.05,
        remember_seconds=0,
    )
    silence = (Finding("storage", "no answer within 0.05 s"),)

    async with asyncio.timeout(10):
        assert await ready.findings() == silence
        assert await asyncio.to_thread(begun.wait, 10)
        assert await ready.findings() == silence
        begun.clear()
        disk_answers.set()
        while await ready.findings() == silence:
            pass

    assert await ready.findings() == (Finding("storage", ""),)
