import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.system.checks import run_checked
from tests.virtualtime import virtual_backend


class TooMuchError(Exception):
    pass


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


def failing_at(call: int) -> Callable[[], Coroutine[Any, Any, float]]:
    """Return a check that wants to be called every ten seconds."""
    calls = iter(range(1, call + 1))

    async def check() -> float:
        if next(calls) == call:
            raise TooMuchError
        return 10

    return check


class Work:
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()
        self.cancelled_at: float | None = None

    async def __call__(self) -> str:
        self.started.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled_at = asyncio.get_running_loop().time()
            raise
        return "done"


async def test_work_is_not_started_if_a_check_fails() -> None:
    work = Work()

    with pytest.raises(TooMuchError):
        await run_checked(work, [failing_at(9), failing_at(1)])

    assert not work.started.is_set()


async def test_a_check_that_fails_later_cancels_the_work_at_that_time() -> None:
    work = Work()

    with pytest.raises(TooMuchError):
        await run_checked(work, [failing_at(9), failing_at(3)])

    assert work.cancelled_at == 20


@pytest.mark.parametrize("checks", [[], [failing_at(9)]])
async def test_work_ends_by_itself_while_checks_pass(
    checks: list[Callable[[], Coroutine[Any, Any, float]]],
) -> None:
    work = Work()
    work.may_end.set()

    assert await run_checked(work, checks) == "done"


async def test_a_caller_that_is_cancelled_cancels_the_work() -> None:
    work = Work()
    task = asyncio.ensure_future(run_checked(work, [failing_at(9)]))
    await work.started.wait()

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert work.cancelled_at is not None
