from pathlib import Path

import pytest

from app.builder.images.contents.file_trees import Listings
from app.builder.images.packing.entry import Symlink
from app.errors import StoreUnreadable, Unpackable
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import Node, alone, plant_path, store_path

PATH = store_path(1, "package")


async def test_a_listing_is_made_once_and_then_needs_no_store(tmp_path: Path) -> None:
    storage = MemoryStorage()
    plant_path(tmp_path / "store", PATH, {b"bin": {b"x": b""}, b"\xff": (b"bin",)})
    seen = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path / "store")
    listing = await seen.listing(PATH, alone(PATH))

    blind = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path / "nowhere")

    assert await blind.listing(PATH, alone(PATH)) == listing


async def test_a_store_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    listings = Listings(storage=MemoryStorage(), workers=Workers(1), store_directory=tmp_path)

    with pytest.raises(StoreUnreadable, match="package cannot be packed: No such file"):
        await listings.listing(PATH, alone(PATH))


async def test_a_listing_nobody_understands_is_made_anew(tmp_path: Path) -> None:
    storage = MemoryStorage()
    plant_path(tmp_path, PATH, {b"bin": {}})
    listings = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path)
    listing = await listings.listing(PATH, alone(PATH))
    (key,) = await storage.keys("listings/")
    await storage.write(key, b'{"root": 7, "linked": {}}')

    restarted = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path)

    assert await restarted.listing(PATH, alone(PATH)) == listing
    assert b"bin" in await storage.read(key)


async def test_it_is_known_whether_a_listing_needs_the_store(tmp_path: Path) -> None:
    other = store_path(2, "other")
    for path in (PATH, other):
        plant_path(tmp_path, path, {})
    storage = MemoryStorage()
    listings = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path)

    assert not await listings.has_all([PATH])
    await listings.listing(PATH, alone(PATH))
    restarted = Listings(storage=storage, workers=Workers(1), store_directory=tmp_path)

    for seen in (listings, restarted):
        assert await seen.has_all([PATH])
        assert not await seen.has_all([PATH, other])
        assert not await seen.has_all([other, PATH])


async def test_packages_are_merged_by_their_priorities(tmp_path: Path) -> None:
    other = store_path(2, "other")
    for path in (PATH, other):
        plant_path(tmp_path, path, {b"x": b""})
    listings = Listings(storage=MemoryStorage(), workers=Workers(1), store_directory=tmp_path)

    forest = await listings.forest([(PATH, 1), (other, 0)], (), alone(PATH, other))

    assert forest.entries == (Symlink(b"x", f"{other}/x".encode()),)


async def test_a_bottomless_tree_is_refused(tmp_path: Path) -> None:
    tree: Node = {}
    for _ in range(300):
        tree = {b"d": tree}
    plant_path(tmp_path, PATH, tree)
    listings = Listings(storage=MemoryStorage(), workers=Workers(1), store_directory=tmp_path)

    with pytest.raises(Unpackable, match="200 directories deep"):
        await listings.listing(PATH, alone(PATH))
