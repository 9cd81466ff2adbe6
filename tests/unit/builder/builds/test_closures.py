from pathlib import Path

import pytest
from pydantic import ValidationError

from app.builder.builds.closures import CLOSURES, Closures
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.storage.base import Storage
from app.storage.memory import MemoryStorage
from app.storage.records.records import Records
from tests.unit.builder.images.packing.trees import local_store


def path(letter: str) -> StorePath:
    return StorePath(letter * 32 + "-" + letter)


A, B, C, D = path("a"), path("b"), path("c"), path("d")
CLOSURE = Closure(
    [
        StoreObject(A, 10, (B, C), "0" * 64),
        StoreObject(B, 20, (C,), "0" * 64),
        StoreObject(C, 30, (), "0" * 64),
        StoreObject(D, 40, (C,), "0" * 64),
    ]
)


def closures_in(storage: Storage) -> Closures:
    return Closures(storage=storage, store=local_store(Path("/nowhere"), *CLOSURE.objects.values()))


async def test_a_queried_closure_is_recorded_for_every_combination_of_paths() -> None:
    closures = closures_in(MemoryStorage())
    assert dict((await closures.query([A, D])).objects) == dict(CLOSURE.objects)

    both = await closures.read([D, A])
    one = await closures.read([D])

    assert both is not None
    assert one is not None
    assert dict(both.objects) == dict(CLOSURE.objects)
    assert one.paths == (C, D)


async def test_a_closure_is_absent_if_that_of_one_path_is_not_recorded() -> None:
    closures = closures_in(MemoryStorage())
    await closures.query([A])

    assert await closures.read([A, D]) is None


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        (f'"path":"{C.base}"', f'"path":"{D.base}"'),  # a reference is missing
        ("10", '"10"'),
        ("10", "-10"),
        (f'"path":"{C.base}"', '"path":"no path"'),
        ('"references"', '"paths"'),
    ],
)
def test_an_invalid_closure_is_refused(part: str, instead: str) -> None:
    stored = CLOSURES.adapter.dump_json(CLOSURE.below(A)).decode()
    assert part in stored

    with pytest.raises(ValidationError):
        CLOSURES.adapter.validate_json(stored.replace(part, instead), strict=True)


async def test_a_record_with_the_closure_of_another_path_is_ignored() -> None:
    storage = MemoryStorage()
    key = CLOSURES.key(path=A.base)
    await Records(storage=storage, kind=CLOSURES).write(key, CLOSURE.below(D))

    assert await closures_in(storage).read([A]) is None
