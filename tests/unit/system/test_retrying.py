"""Attempts after transient faults, by an injected clock."""

import pytest

from app.system.retrying import Retries, retry


class Passing(Exception):
    pass


class Work:
    """Fails ``times``, each attempt taking ``seconds``."""

    def __init__(self, times: int, seconds: float = 0) -> None:
        self.now = 0.0
        self.attempts = 0
        self.pauses: list[float] = []
        self._times = times
        self._seconds = seconds

    async def __call__(self) -> str:
        self.attempts += 1
        self.now += self._seconds
        if self.attempts <= self._times:
            raise Passing(f"attempt {self.attempts}")
        return "done"

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    async def run(self, retries: Retries) -> str:
        return await retry(
            self,
            retries=retries,
            transient=(Passing,),
            on_retry=lambda _error, _pause: None,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


async def test_a_fault_that_passes_costs_pauses_that_double() -> None:
    work = Work(times=3)

    assert await work.run(Retries(times=3, seconds=60)) == "done"
    assert work.pauses == [1, 2, 4]


async def test_the_last_error_is_raised_after_so_many_attempts() -> None:
    with pytest.raises(Passing, match="attempt 3"):
        await Work(times=9).run(Retries(times=2, seconds=60))


async def test_no_attempt_starts_after_the_time() -> None:
    work = Work(times=9, seconds=40)

    with pytest.raises(Passing, match="attempt 2"):
        await work.run(Retries(times=9, seconds=60))


async def test_another_error_is_raised_at_once() -> None:
    work = Work(times=1)

    with pytest.raises(Passing):
        await retry(
            work,
            retries=Retries(times=9, seconds=60),
            transient=(ValueError,),
            on_retry=lambda _error, _pause: None,
            sleep=work.sleep,
        )

    assert work.attempts == 1


async def test_a_server_decides_the_pause_up_to_a_minute() -> None:
    work = Work(times=2)
    requests = iter([7.0, 900.0])

    await retry(
        work,
        retries=Retries(times=2, seconds=600),
        transient=Passing,
        on_retry=lambda _error, _pause: None,
        requested=lambda _: next(requests),
        clock=lambda: work.now,
        sleep=work.sleep,
    )

    assert work.pauses == [7, 60]


async def test_no_pause_ends_after_the_time() -> None:
    work = Work(times=9)

    with pytest.raises(Passing):
        await work.run(Retries(times=9, seconds=6))

    assert work.pauses == [1, 2]


def test_pauses_double_up_to_a_minute() -> None:
    retries = Retries(times=9, seconds=600, pause_seconds=10)

    assert [retries.pause(failures) for failures in (1, 2, 3, 4, 9)] == [10, 20, 40, 60, 60]
    assert retries.pause(10) is None
    assert retries.pause(10, 1) is None
