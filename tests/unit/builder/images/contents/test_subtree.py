"""Subtrees of one package, and their cache."""

from pathlib import Path

from app.builder.images.contents.file_tree import Tree
from app.builder.images.contents.reading import read_file_tree
from app.builder.images.contents.subtree import Subtree, SubtreeCache, make_subtree
from app.builder.nix.closure import STORE
from tests.unit.builder.images.packing.trees import Node, local_store, plant_path, store_path

A = store_path(1, "a")
LOCATION = f"{STORE}/{A.base}/lib".encode()


def tree(directory: Path, content: Node) -> Tree:
    plant_path(directory, A, content)
    root = read_file_tree(A, local_store(directory), [A]).root
    assert isinstance(root, Tree)
    return root


def size(subtree: Subtree) -> int:
    return len(subtree.archived.tar)


def test_a_subtree_is_made_once(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b"", b".wh.y": b"", b"z": {b"deep": b""}})
    subtrees = SubtreeCache(budget=10_000)

    made = subtrees.make(b"lib", lib, LOCATION)

    assert made == make_subtree(b"lib", lib, LOCATION)
    assert made.left_out == (b"lib/.wh.y",)
    assert subtrees.make(b"lib", lib, LOCATION) is made


def test_another_name_or_place_is_another_subtree(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b""})
    subtrees = SubtreeCache(budget=10_000)
    tars = {
        subtrees.make(name, lib, place).archived
        for name in (b"lib", b"lib64")
        for place in (LOCATION, LOCATION + b"64")
    }

    assert len(tars) == len({archived.digest for archived in tars}) == 4


def test_the_least_recently_used_is_evicted_beyond_the_budget(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b""})
    one = make_subtree(b"0", lib, LOCATION)
    subtrees = SubtreeCache(budget=2 * size(one))
    first, second = (subtrees.make(name, lib, LOCATION) for name in (b"1", b"2"))
    subtrees.make(b"1", lib, LOCATION)

    subtrees.make(b"3", lib, LOCATION)

    assert subtrees.make(b"1", lib, LOCATION) is first
    assert subtrees.make(b"2", lib, LOCATION) is not second


def test_a_subtree_larger_than_the_budget_is_not_cached(tmp_path: Path) -> None:
    lib = tree(tmp_path, {b"x": b""})
    subtrees = SubtreeCache(budget=1)

    made = subtrees.make(b"lib", lib, LOCATION)

    assert subtrees.make(b"lib", lib, LOCATION) == made
    assert subtrees.make(b"lib", lib, LOCATION) is not made
