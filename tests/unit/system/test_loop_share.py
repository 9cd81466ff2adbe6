"""Work that shares a part of the event loop's time with other work, not with the rest of the loop."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from app.errors import TooManyRequests
from app.system.concurrency import gather
from app.system.loop_share import LoopShare, current_share
from tests.waiting import turns

STEP = 0.002
COLOUR = ContextVar("COLOUR", default="none")


class Shared:
    """A share for one step of the loop's turn, by a clock that advances with each step."""

    def __init__(self, *, waiting_each: int = 1_000) -> None:
        self.now = 0.0
        self.order: list[str] = []
        self.share = LoopShare(seconds=STEP / 2, waiting_each=waiting_each, clock=lambda: self.now)

    def compute(self, name: str) -> None:
        self.now += STEP
        self.order.append(name)

    def start(self, name: str, client: str = "a", *, pauses: int = 0) -> asyncio.Task[str]:
        async def work() -> str:
            for number in range(pauses):
                self.compute(f"{name}{number}")
                await asyncio.sleep(0)
            self.compute(name)
            return name

        return asyncio.create_task(self.share.run(client, work))


async def test_other_code_of_the_loop_waits_for_two_steps_at_most() -> None:
    shared = Shared()
    tasks = [shared.start(f"{number}", pauses=3) for number in range(50)]
    longest = 0

    while not all(task.done() for task in tasks):
        before = len(shared.order)
        await asyncio.sleep(0)
        longest = max(longest, len(shared.order) - before)

    # One that was let in, and one after the turn's time was reset.
    assert longest <= 2
    assert [task.result() for task in tasks] == [f"{number}" for number in range(50)]


async def test_steps_of_coroutines_that_run_together_count() -> None:
    shared = Shared()

    async def part(number: int) -> int:
        for _ in range(3):
            shared.compute(f"{number}")
            await asyncio.sleep(0)
        return number

    work = shared.share.run("a", lambda: gather(part(number) for number in range(50)))
    task = asyncio.create_task(work)
    longest = 0
    while not task.done():
        before = len(shared.order)
        await asyncio.sleep(0)
        longest = max(longest, len(shared.order) - before)

    # As above, and that of the task that starts the others.
    assert longest <= 3
    assert await task == tuple(range(50))
    assert current_share() is None


@pytest.mark.filterwarnings("error")
async def test_coroutines_that_were_cancelled_before_their_turn_are_closed() -> None:
    shared = Shared()

    async def part() -> None:
        shared.compute("part")

    work = shared.share.run("a", lambda: gather(part() for _ in range(50)))
    task = asyncio.create_task(work)
    await turns(3)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    assert len(shared.order) < 50


async def test_work_that_fits_does_not_wait() -> None:
    shared = Shared()

    async def work() -> int:
        return 42

    waiting = shared.share.run("a", work)
    with pytest.raises(StopIteration) as end:
        waiting.send(None)  # without a turn of the loop
    assert end.value.value == 42


async def test_accepted_work_comes_before_new_work() -> None:
    shared = Shared()
    tasks = [shared.start(f"a{number}") for number in range(4)]

    async def work() -> str:
        shared.compute("accepted")
        return "accepted"

    tasks.append(asyncio.create_task(shared.share.run_accepted(work)))
    assert (await asyncio.gather(*tasks))[-1] == "accepted"

    assert shared.order == ["a0", "accepted", "a1", "a2", "a3"]


async def test_clients_take_turns_and_begun_work_comes_first() -> None:
    shared = Shared()
    tasks = [shared.start(f"a{number}") for number in range(5)]
    tasks += [shared.start("b", "b"), shared.start("c", "c", pauses=2), shared.start("d", "d")]

    await asyncio.gather(*tasks)

    new = [name for name in shared.order if name not in {"c1", "c"}]
    assert new == ["a0", "a1", "b", "c0", "d", "a2", "a3", "a4"]
    # Both steps were ready a turn after the one before them.
    assert shared.order.index("c") - shared.order.index("c0") <= 4


async def test_cancelled_work_ends_and_does_not_stop_the_rest() -> None:
    shared = Shared()
    first, begun, unbegun, last = (
        shared.start("first", pauses=2),
        shared.start("begun", pauses=1),
        shared.start("unbegun", "b"),
        shared.start("last", "c"),
    )
    await turns(1)
    unbegun.cancel()
    while "begun0" not in shared.order:
        await turns(1)
    begun.cancel()
    found = await asyncio.gather(first, begun, unbegun, last, return_exceptions=True)

    assert found[0] == "first"
    assert isinstance(found[1], asyncio.CancelledError)
    assert isinstance(found[2], asyncio.CancelledError)
    assert found[3] == "last"
    assert "unbegun" not in shared.order
    assert "begun" not in shared.order
    assert await shared.start("after") == "after"


async def test_work_cancelled_as_it_is_let_in_leaves_room_for_the_next() -> None:
    shared = Shared()
    tasks = [shared.start(f"{number}", f"{number}") for number in range(6)]
    await turns(2)
    for task in tasks[1:5]:
        task.cancel()

    await asyncio.gather(*tasks, return_exceptions=True)

    assert tasks[5].result() == "5"


async def test_one_client_has_a_limit_of_waiting_work_and_others_have_their_own() -> None:
    shared = Shared(waiting_each=3)
    own = [shared.start(f"a{number}") for number in range(6)]
    others = [shared.start("b", "b"), *(shared.start(f"{number}", "") for number in range(9))]

    found = await asyncio.gather(*own, return_exceptions=True)

    assert found[:4] == ["a0", "a1", "a2", "a3"]
    for refused in found[4:]:
        assert isinstance(refused, TooManyRequests)
        assert refused.retry_after > 0
    assert await asyncio.gather(*others) == ["b", *(f"{number}" for number in range(9))]


def _timeout() -> Awaitable[object]:
    return asyncio.wait_for(asyncio.Event().wait(), 0.001)


async def _group() -> str:
    found: list[int] = []

    async def add(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        found.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(add, number)
    with anyio.move_on_after(0.001):
        await anyio.sleep_forever()
    return f"{sorted(found)}"


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(("work", "outcome"), [(_timeout, TimeoutError), (_group, "[0, 1, 2]")])
async def test_time_limits_groups_and_errors_are_those_of_the_work(
    work: Callable[[], Awaitable[object]], outcome: object, *, busy: bool
) -> None:
    shared = Shared()
    others = [shared.start("x", pauses=20) for _ in range(20)] if busy else []

    async def run() -> object:
        assert COLOUR.get() == "red"
        return await work()

    COLOUR.set("red")
    [found] = await asyncio.gather(shared.share.run("a", run), return_exceptions=True)

    assert (found if isinstance(found, str) else type(found)) == outcome
    await asyncio.gather(*others)
