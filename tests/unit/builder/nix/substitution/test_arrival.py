"""When a path is packed while its archive arrives, and how many archives arrive at a time."""

import asyncio

import pytest

from app.builder.nix.substitution.arrival import Arrival
from app.builder.nix.substitution.volume import Volume

MB = 1_000_000


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def due_at(*, size: int, nar_size: int, bandwidth: float) -> int:
    """Return how many bytes have arrived when the path is due; ``size`` if it is not before."""
    clock = Clock()
    arrival = Arrival(size, nar_size, clock=clock)
    for arrived in range(MB, size + 1, MB):
        clock.now = arrived / bandwidth
        if arrival.is_due(arrived):
            return arrived
    return size


def test_a_fast_download_is_packed_from_its_beginning() -> None:
    assert due_at(size=100 * MB, nar_size=300 * MB, bandwidth=1000 * MB) == 2 * MB


def test_a_slow_download_is_packed_when_the_rest_is_there_in_time() -> None:
    arrived = due_at(size=100 * MB, nar_size=300 * MB, bandwidth=10 * MB)

    assert 75 * MB < arrived < 100 * MB


def test_a_small_download_is_packed_when_it_has_ended() -> None:
    assert not Arrival(1000, 3000).is_due(1000)


def test_another_cache_begins_again() -> None:
    clock = Clock()
    arrival = Arrival(100 * MB, 300 * MB, clock=clock)
    arrival.is_due(50 * MB)
    clock.now = 1000

    assert not arrival.is_due(MB)
    clock.now = 1000.001
    assert arrival.is_due(10 * MB)


async def granted(volume: Volume, *sizes: int) -> list[bool]:
    """Whether each reservation is granted without another one's end."""
    tasks = [asyncio.create_task(volume.take(size)) for size in sizes]
    await asyncio.wait(tasks, timeout=0)
    for _ in range(3):
        await asyncio.sleep(0)
    done = [task.done() for task in tasks]
    for task in tasks:
        task.cancel()
    return done


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((4, 4, 4), [True, True, False]),
        ((20, 1), [True, False]),
        ((1, 20, 1), [True, False, False]),
    ],
)
async def test_reservations_are_granted_in_order_within_the_bound(
    sizes: tuple[int, ...], expected: list[bool]
) -> None:
    assert await granted(Volume(10), *sizes) == expected


async def test_a_few_are_granted_whatever_their_size_and_only_so_many() -> None:
    assert await granted(Volume(10, least=2), 20, 20, 1) == [True, True, False]
    assert await granted(Volume(10, most=2), 1, 1, 1) == [True, True, False]


async def test_what_is_given_back_goes_to_the_next_and_a_cancelled_one_is_passed_over() -> None:
    volume = Volume(10)
    await volume.take(10)
    second, third = (asyncio.create_task(volume.take(10)) for _ in range(2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait((second,))
    assert not third.done()

    volume.release(10)

    await third
