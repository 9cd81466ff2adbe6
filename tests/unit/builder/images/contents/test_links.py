"""Links are followed within a closure only."""

import os
from pathlib import Path

import pytest

from app.builder.images.contents.bound import Bound
from app.builder.images.contents.file_tree import Link, Node, Tree
from app.builder.images.contents.links import Links
from app.builder.images.contents.reading import read_file_tree
from app.builder.images.contents.tree_builder import TreeBuilder
from app.builder.nix.closure import StorePath
from tests.unit.builder.images.packing.trees import local_store, plant_path, store_path

OWN, NEEDED, FOREIGN = store_path(1, "own"), store_path(2, "needed"), store_path(3, "foreign")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three packages; the first needs the second."""
    store = tmp_path / "store"
    plant_path(store, FOREIGN, {b"d": {b"secret": b""}, b"back": (str(OWN).encode(),)})
    plant_path(store, NEEDED, {b"d": {b"x": b""}, b"out": (f"{FOREIGN}/d".encode(),), b"file": b""})
    plant_path(store, OWN, {b"d": {b"e": {}}, b"link": (b"d",), b"loop": (b"loop",)})
    (tmp_path / "outside").mkdir()
    (tmp_path / "back").symlink_to(store / OWN.base)
    return store


def where(store: Path, target: str) -> bytes | None:
    """Where a link beside ``d`` of the first package leads; names stand for paths of the store."""
    for name, path in (("OWN", OWN), ("NEEDED", NEEDED), ("FOREIGN", FOREIGN)):
        target = target.replace(name, str(path))

    def tree_of(path: StorePath) -> Node:
        builder = TreeBuilder(Bound(names=100, size=10_000))
        local_store(store).visit(path, builder)
        return builder.root

    links = Links([OWN, NEEDED], tree_of)
    return links.directory(f"{OWN.base}/new".encode(), os.fsencode(target))


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("d", f"{OWN.base}/d"),
        ("./d//e/", f"{OWN.base}/d/e"),
        ("link/e", f"{OWN.base}/d/e"),
        ("link/../link", f"{OWN.base}/d"),
        (".", OWN.base),
        ("OWN", OWN.base),
        ("NEEDED/d", f"{NEEDED.base}/d"),
        (f"../{NEEDED.base}/d", f"{NEEDED.base}/d"),
        (f"d/e/../../../{NEEDED.base}/d", f"{NEEDED.base}/d"),
    ],
)
def test_directories_of_the_closure_are_found(store: Path, target: str, found: str) -> None:
    assert where(store, target) == found.encode()


@pytest.mark.parametrize(
    "target",
    [
        "FOREIGN",
        "FOREIGN/d",
        f"../{FOREIGN.base}/d",
        "NEEDED/out",
        # By way of what is not in the closure.
        f"FOREIGN/d/../../{OWN.base}/d",
        f"../{FOREIGN.base}/../{OWN.base}/d",
        "FOREIGN/back",
        "../../back",
        "../../outside",
        "..",
        "/",
        "/etc",
    ],
)
def test_links_out_of_the_closure_are_not_followed(store: Path, target: str) -> None:
    assert where(store, target) is None


@pytest.mark.parametrize(
    "target", ["loop", "none", "d/none", "NEEDED/file", "NEEDED/file/..", "x" * 300]
)
def test_loops_files_and_missing_names_are_not_directories(store: Path, target: str) -> None:
    assert where(store, target) is None


def test_a_file_tree_has_no_names_of_paths_outside_of_the_closure(store: Path) -> None:
    own = store / OWN.base
    (own / "needed").symlink_to(f"{NEEDED}/d")
    (own / "foreign").symlink_to(f"{FOREIGN}/d")

    tree = read_file_tree(OWN, local_store(store), [OWN, NEEDED])

    assert list(tree.linked) == [f"{NEEDED.base}/d".encode()]
    assert isinstance(tree.root, Tree)
    assert tree.root.children[b"foreign"] == Link(f"{FOREIGN}/d".encode(), None)
