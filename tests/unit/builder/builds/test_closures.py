import pytest

from app.builder.builds.closures import Closures
from app.builder.closure import Closure, StoreObject, StorePath
from app.storage.memory import MemoryStorage


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
        (f'["{C.base}",30,[]]', f'["{D.base}",30,[]]'),  # a reference is missing
        (A.base, D.base),  # another's
        ("10", '"10"'),
        (C.base, "no path"),
        ('"objects"', '"paths"'),
    ],
)
async def test_a_closure_that_is_none_is_unknown(part: str, instead: str) -> None:
    storage = MemoryStorage()
    closures = Closures(storage=storage)
    await closures.write([A], CLOSURE)
    (key,) = await storage.keys("closures/")
    body = (await storage.read(key)).decode()
    assert part in body
    await storage.write(key, body.replace(part, instead).encode())

    assert await closures.read([A]) is None
