"""Which downloads are packed while they arrive."""

import asyncio

import pytest

from app.builder.nix.substitution.packing_order import PackingOrder, Turn
from tests.waiting import turns


class Packing:
    """A task that waits for its turn and holds it until ``end`` is set."""

    def __init__(self, order: PackingOrder, ready: int = 0) -> None:
        self.turn = Turn()
        self.turn.ready = ready
        self.end = asyncio.Event()
        self.task = asyncio.create_task(self._run(order))

    async def _run(self, order: PackingOrder) -> None:
        async with order.turn(self.turn):
            await self.end.wait()

    @property
    def has_begun(self) -> bool:
        return self.turn.granted.is_set()

    async def finish(self) -> None:
        self.end.set()
        await self.task


async def packings(order: PackingOrder, *ready: int) -> list[Packing]:
    found = [Packing(order, count) for count in ready]
    await turns()
    return found


async def end(*running: Packing) -> None:
    for one in running:
        one.task.cancel()
    await asyncio.wait([one.task for one in running])


async def test_the_download_with_most_to_pack_begins_while_workers_are_idle() -> None:
    order = PackingOrder(2)
    waiting = small, large = await packings(order, 0, 0)
    small.turn.ready, large.turn.ready = 10, 20

    order.begin_early()

    assert [one.has_begun for one in waiting] == [False, True]
    await end(*waiting)


async def test_nothing_begins_early_while_all_workers_are_busy() -> None:
    order = PackingOrder(2)
    first, second, third = await packings(order, 0, 0, 0)
    order.grant(first.turn)
    order.grant(second.turn)
    third.turn.ready = 10

    order.begin_early()
    assert not third.has_begun
    assert not order.wants_more

    await first.finish()
    assert third.has_begun
    await end(second, third)


async def test_a_download_that_is_due_does_not_wait_for_early_ones() -> None:
    order = PackingOrder(2)
    early, waiting, due = await packings(order, 10, 10, 0)

    order.grant(due.turn)

    assert [one.has_begun for one in (early, waiting, due)] == [True, False, True]
    await early.finish()
    assert waiting.has_begun
    await end(waiting, due)


async def test_one_worker_packs_what_is_due_only() -> None:
    order = PackingOrder(1)
    [only] = await packings(order, 10)

    order.begin_early()

    assert not only.has_begun
    await end(only)


@pytest.mark.parametrize("is_granted", [False, True])
async def test_a_turn_that_is_cancelled_leaves_its_place_to_others(*, is_granted: bool) -> None:
    order = PackingOrder(2)
    [cancelled] = await packings(order, 10 if is_granted else 0)
    assert cancelled.has_begun == is_granted
    await end(cancelled)

    # The end of its download is reported after the turn.
    order.grant(cancelled.turn)

    [another] = await packings(order, 10)
    assert another.has_begun
    await end(another)
