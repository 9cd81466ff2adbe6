import pytest
from pydantic import ValidationError

from app.builder.builds.closures import CLOSURES, Closures
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.storage.memory import MemoryStorage
from app.storage.records.records import Records


def path(letter: str) -> StorePath:
    return StorePath(letter * 32 + "-" + letter)


A, B, C, D = path("a"), path("b"), path("c"), path("d")
CLOSURE = Closure(
    [
        StoreObject(A, 10, (B, C)),
        StoreObject(B, 20, (C,)),
        StoreObject(C, 30, ()),
        StoreObject(D, 40, (C,)),
    ]
)


async def test_what_nix_said_of_a_path_is_known_for_every_combination() -> None:
    closures = Closures(storage=MemoryStorage())
    await closures.write([A, D], CLOSURE)

    both = await closures.read([D, A])
    one = await closures.read([D])

    assert both is not None
    assert one is not None
    assert dict(both.objects) == dict(CLOSURE.objects)
    assert one.paths == (C, D)


async def test_one_unknown_path_makes_the_whole_unknown() -> None:
    closures = Closures(storage=MemoryStorage())
    await closures.write([A], CLOSURE)

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


async def test_the_closure_of_another_path_is_not_believed() -> None:
    storage = MemoryStorage()
    key = CLOSURES.key(path=A.base)
    await Records(storage=storage, kind=CLOSURES).write(key, CLOSURE.below(D))

    assert await Closures(storage=storage).read([A]) is None
