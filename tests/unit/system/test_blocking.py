"""Blocking functions are found out where they run on the event loop's thread."""

import asyncio

import pytest

from app.system.blocking import blocking, blocking_class
from app.system.workers import Workers
from tests.blockedloop import BlockedLoop


@blocking
def work(value: int) -> int:
    return value + 1


@blocking_class
class Disk:
    @classmethod
    def open(cls) -> "Disk":
        return cls()

    @staticmethod
    def of() -> int:
        return 3

    def read(self) -> int:
        return self._read()

    def _read(self) -> int:
        return 2

    @property
    def name(self) -> str:
        return "disk"

    async def fetch(self) -> int:
        return await Workers(1).run(self.read)


def test_marked_function_runs_without_an_event_loop() -> None:
    assert work(1) == 2


async def test_marked_function_runs_in_a_worker() -> None:
    assert await Workers(1).run(work, 1) == 2


async def test_marked_function_fails_on_the_loops_thread() -> None:
    with pytest.raises(BlockedLoop, match=r"test_blocking\.work blocks the event loop"):
        work(1)


async def test_public_methods_of_a_marked_class_fail_on_the_loops_thread() -> None:
    disk = Disk()

    for method in (disk.read, Disk.open, Disk.of):
        with pytest.raises(BlockedLoop, match=r"Disk\.(read|open|of) blocks the event loop"):
            method()
    assert disk.name == "disk"
    assert await disk.fetch() == 2


def test_methods_of_a_marked_class_run_without_an_event_loop() -> None:
    assert (Disk.open().read(), Disk.of()) == (2, 3)


def test_callbacks_of_the_loop_are_its_thread_too() -> None:
    found: list[BaseException] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: found.append(context["exception"]))
        loop.call_soon(work, 1)
        await asyncio.sleep(0)

    asyncio.run(main())

    assert [type(error) for error in found] == [BlockedLoop]
