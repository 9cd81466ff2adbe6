"""The shares of client addresses in a queue, and the order in which they are served."""

import asyncio

import pytest

from app.builder.jobs.clients import Clients
from app.builder.jobs.progress import Progress
from app.builder.jobs.queues import WorkQueue
from app.errors import TooManyRequests


class Visits:
    """Pieces of work in a queue, each for some clients and until its end is requested."""

    def __init__(self, queue: WorkQueue) -> None:
        self.queue = queue
        self.served: list[str] = []
        self.progress: dict[str, Progress] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, name: str, *clients: str) -> None:
        self._ends[name], self.progress[name] = asyncio.Event(), Progress()
        for client in clients:
            self.progress[name].clients.add(client)
        self._tasks[name] = asyncio.create_task(self._visit(name))
        await settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await settle()

    async def end_all(self) -> None:
        for end in self._ends.values():
            end.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def refusal(self, name: str) -> TooManyRequests | None:
        task = self._tasks[name]
        error = task.exception() if task.done() else None
        assert error is None or isinstance(error, TooManyRequests)
        return error

    async def _visit(self, name: str) -> None:
        async with self.queue.slot(self.progress[name]):
            self.served.append(name)
            await self._ends[name].wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def visits(*, at_once: int, waiting: int, share: float) -> Visits:
    queue = WorkQueue(
        "evaluation", at_once=at_once, waiting=waiting, share=share, expected_seconds=1
    )
    return Visits(queue)


async def test_one_client_has_its_share_of_slots_and_of_places() -> None:
    one = visits(at_once=2, waiting=4, share=0.5)
    for number in range(4):
        await one.begin(f"loud {number}", "loud")

    assert one.served == ["loud 0"]
    assert one.queue.waiting == 2
    refused = one.refusal("loud 3")
    assert refused is not None
    assert "of this address" in refused.message
    await one.begin("quiet", "quiet")
    assert one.served == ["loud 0", "quiet"]
    await one.end_all()


async def test_a_client_with_little_work_does_not_wait_behind_one_with_much() -> None:
    one = visits(at_once=1, waiting=20, share=1)
    for number in range(10):
        await one.begin(f"loud {number}", "loud")
    await one.begin("quiet", "quiet")

    await one.end("loud 0")

    assert one.served == ["loud 0", "quiet"]
    await one.end_all()


async def test_clients_take_turns() -> None:
    one = visits(at_once=1, waiting=20, share=1)
    for number in range(3):
        for client in "abc":
            await one.begin(f"{client}{number}", client)

    for number in range(9):
        await one.end(one.served[number])

    assert [name[0] for name in one.served] == list("abcabcabc")


async def test_a_client_that_joins_adds_its_share() -> None:
    one = visits(at_once=2, waiting=4, share=0.5)
    await one.begin("first", "loud")
    await one.begin("second", "loud")
    assert one.served == ["first"]

    one.progress["second"].clients.add("quiet")
    await settle()

    assert one.served == ["first", "second"]
    await one.end_all()


async def test_work_for_several_clients_uses_the_share_that_has_room() -> None:
    one = visits(at_once=2, waiting=4, share=0.5)
    await one.begin("first", "loud")
    await one.begin("shared", "loud", "quiet")

    assert one.served == ["first", "shared"]
    await one.begin("third", "quiet")
    assert one.queue.waiting == 1
    await one.end("shared")
    assert one.served == ["first", "shared", "third"]
    await one.end_all()


async def test_work_without_a_client_has_no_share() -> None:
    one = visits(at_once=4, waiting=4, share=0.25)
    for number in range(4):
        await one.begin(f"own {number}")

    assert len(one.served) == 4
    await one.end_all()


async def test_the_share_of_one_slot_is_that_slot() -> None:
    one = visits(at_once=1, waiting=1, share=0.1)
    await one.begin("first", "client")
    await one.begin("second", "client")

    assert one.queue.waiting == 1
    await one.end_all()
    assert one.served == ["first", "second"]


async def test_a_client_that_leaves_the_queue_releases_its_share() -> None:
    one = visits(at_once=1, waiting=2, share=0.5)
    await one.begin("first", "client")
    await one.begin("second", "client")
    one._tasks["second"].cancel()
    await settle()

    await one.begin("third", "client")

    assert one.queue.waiting == 1
    await one.end("first")
    assert one.served == ["first", "third"]
    await one.end_all()
    assert (one.queue.active, one.queue.waiting) == (0, 0)


async def test_work_cancelled_in_the_turn_of_its_admission_releases_the_slot() -> None:
    one = visits(at_once=1, waiting=2, share=1)
    first = one.queue.slot(Progress())
    await first.__aenter__()
    await one.begin("second", "client")

    await first.__aexit__(None, None, None)
    one._tasks["second"].cancel()
    await settle()

    await one.begin("third", "client")
    assert one.served == ["third"]
    await one.end_all()


def test_the_clients_of_a_job_are_bounded() -> None:
    clients = Clients()
    for number in range(5000):
        clients.add(f"client {number}")

    assert len(clients) == 1000


@pytest.mark.parametrize("address", ["", "a"])
def test_a_client_counts_once_and_an_empty_address_does_not_count(address: str) -> None:
    clients = Clients()
    clients.add(address)
    clients.add(address)

    assert list(clients) == [address] * len(address)
