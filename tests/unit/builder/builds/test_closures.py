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
