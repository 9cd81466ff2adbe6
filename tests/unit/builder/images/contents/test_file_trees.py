from pathlib import Path

import pytest

from app.builder.images.contents.file_trees import FileTrees
from app.builder.images.packing.entry import Symlink
from app.errors import StoreUnreadable, Unpackable
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import Node, alone, local_store, plant_path, store_path

PATH = store_path(1, "package")


async def test_a_file_tree_is_read_once_and_then_needs_no_store(tmp_path: Path) -> None:
    storage = MemoryStorage()
    plant_path(tmp_path / "store", PATH, {b"bin": {b"x": b""}, b"\xff": (b"bin",)})
    seen = FileTrees(storage=storage, workers=Workers(1), store=local_store(tmp_path / "store"))
    tree = await seen.read(PATH, alone(PATH))

    blind = FileTrees(storage=storage, workers=Workers(1), store=local_store(tmp_path / "nowhere"))

    assert await blind.read(PATH, alone(PATH)) == tree


async def test_a_missing_store_path_is_named(tmp_path: Path) -> None:
    file_trees = FileTrees(storage=MemoryStorage(), workers=Workers(1), store=local_store(tmp_path))

    with pytest.raises(StoreUnreadable, match="package cannot be packed: No such file"):
        await file_trees.read(PATH, alone(PATH))


async def test_an_invalid_record_is_replaced_by_reading_the_store_again(tmp_path: Path) -> None:
    storage = MemoryStorage()
    plant_path(tmp_path, PATH, {b"bin": {}})
    file_trees = FileTrees(storage=storage, workers=Workers(1), store=local_store(tmp_path))
    tree = await file_trees.read(PATH, alone(PATH))
    (key,) = await storage.keys("listings/")
    await storage.write(key, b'{"root": 7, "linked": {}}')

    restarted = FileTrees(storage=storage, workers=Workers(1), store=local_store(tmp_path))

    assert await restarted.read(PATH, alone(PATH)) == tree
    assert b"bin" in await storage.read(key)


async def test_has_all_is_true_once_every_file_tree_is_recorded(tmp_path: Path) -> None:
    other = store_path(2, "other")
    for path in (PATH, other):
        plant_path(tmp_path, path, {})
    storage = MemoryStorage()
    file_trees = FileTrees(storage=storage, workers=Workers(1), store=local_store(tmp_path))

    assert not await file_trees.has_all([PATH])
    await file_trees.read(PATH, alone(PATH))
    restarted = FileTrees(storage=storage, workers=Workers(1), store=local_store(tmp_path))

    for seen in (file_trees, restarted):
        assert await seen.has_all([PATH])
        assert not await seen.has_all([PATH, other])
        assert not await seen.has_all([other, PATH])


async def test_packages_are_merged_by_their_priorities(tmp_path: Path) -> None:
    other = store_path(2, "other")
    for path in (PATH, other):
        plant_path(tmp_path, path, {b"x": b""})
    file_trees = FileTrees(storage=MemoryStorage(), workers=Workers(1), store=local_store(tmp_path))

    links = await file_trees.merge([(PATH, 1), (other, 0)], (), alone(PATH, other))

    assert links.entries == (Symlink(b"x", f"{other}/x".removeprefix("/").encode()),)


async def test_a_bottomless_tree_is_refused(tmp_path: Path) -> None:
    tree: Node = {}
    for _ in range(300):
        tree = {b"d": tree}
    plant_path(tmp_path, PATH, tree)
    file_trees = FileTrees(storage=MemoryStorage(), workers=Workers(1), store=local_store(tmp_path))

    with pytest.raises(Unpackable, match="200 directories deep"):
        await file_trees.read(PATH, alone(PATH))
