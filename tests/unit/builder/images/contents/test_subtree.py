from pathlib import Path

from app.builder.images.contents.file_tree import Tree, scan
from app.builder.images.contents.subtree import Subtree, SubtreeCache, plant
from app.builder.nix.closure import STORE
from tests.unit.builder.images.packing.trees import Node, plant_path, store_path

A = store_path(1, "a")
LOCATION = f"{STORE}/{A.base}/lib".encode()


def tree(directory: Path, content: Node) -> Tree:
    plant_path(directory, A, content)
    root = scan(A, directory, [A]).root
    assert isinstance(root, Tree)
    return root


def size(planted: Subtree) -> int:
    return len(planted.archived.tar)


def test_what_was_planted_is_made_once(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b"", b".wh.y": b"", b"z": {b"deep": b""}})
    plantings = SubtreeCache(budget=10_000)

    planted = plantings.plant(b"lib", lib, LOCATION)

    assert planted == plant(b"lib", lib, LOCATION)
    assert planted.left_out == (b"lib/.wh.y",)
    assert plantings.plant(b"lib", lib, LOCATION) is planted


def test_another_name_or_place_is_another_planting(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b""})
    plantings = SubtreeCache(budget=10_000)
    tars = {
        plantings.plant(name, lib, place).archived
        for name in (b"lib", b"lib64")
        for place in (LOCATION, LOCATION + b"64")
    }

    assert len(tars) == len({archived.digest for archived in tars}) == 4


def test_the_longest_unused_goes_when_the_budget_is_spent(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b""})
    one = plant(b"0", lib, LOCATION)
    plantings = SubtreeCache(budget=2 * size(one))
    first, second = (plantings.plant(name, lib, LOCATION) for name in (b"1", b"2"))
    plantings.plant(b"1", lib, LOCATION)

    plantings.plant(b"3", lib, LOCATION)

    assert plantings.plant(b"1", lib, LOCATION) is first
    assert plantings.plant(b"2", lib, LOCATION) is not second


def test_one_larger_than_the_budget_is_made_and_not_kept(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b""})
    plantings = SubtreeCache(budget=1)

    planted = plantings.plant(b"lib", lib, LOCATION)

    assert plantings.plant(b"lib", lib, LOCATION) == planted
    assert plantings.plant(b"lib", lib, LOCATION) is not planted
