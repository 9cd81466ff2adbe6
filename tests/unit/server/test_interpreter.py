"""Python's collector stops the event loop rarely."""

import gc
from collections.abc import Iterator

import pytest

from app.server.interpreter import collect_rarely


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture
def full_collections() -> Iterator[list[int]]:
    """Yield the sizes of full collections."""
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            found.append(info["collected"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_the_objects_of_a_large_image_are_not_traversed_again_and_again(
    full_collections: list[int],
) -> None:
    collect_rarely()
    full_collections.clear()

    objects = [[number] for number in range(250_000)]

    assert len(objects) == 250_000
    assert not full_collections


def test_cycles_are_collected_in_the_end(full_collections: list[int]) -> None:
    collect_rarely()
    full_collections.clear()

    objects = [[number] for number in range(1_000_000)]

    assert len(objects) == 1_000_000
    assert full_collections
