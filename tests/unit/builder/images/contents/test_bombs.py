"""Small packages that would be large link trees: bounded, and merged once for each place."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from app.builder.images.contents import merging, reading, symlink_tree
from app.builder.images.contents.bound import DEEPEST
from app.builder.images.contents.claims import DEFAULT_PRIORITY
from app.builder.images.contents.file_trees import FileTrees
from app.builder.images.contents.symlink_tree import SymlinkTree, merge
from app.builder.images.packing.entry import Archived, Symlink
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.store import UnsupportedTree
from app.errors import LinksTooMany, Unpackable
from app.storage.memory import MemoryStorage
from app.system import threads
from app.system.workers import Workers
from tests.unit.builder.images.contents.test_symlink_tree import Store
from tests.unit.builder.images.packing.trees import Node, alone, local_store, plant_path, store_path
from tests.waiting import until

A, B = store_path(1, "a"), store_path(2, "b")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def diamonds(levels: int, end: str) -> Node:
    """Each level is in the one above twice.  ``end`` makes the links of two packages differ."""
    return {
        f"level{level}".encode(): {
            name: (f"../level{level + 1}{end}".encode(),) for name in (b"x", b"y")
        }
        if level < levels
        else {b"file" + end.replace("/", "").encode(): b""}
        for level in range(levels + 1)
    }


def cycles(levels: int, end: str) -> Node:
    """Each level is in every other."""
    return {
        f"level{level}".encode(): {
            f"to{other}".encode(): (f"../level{other}{end}".encode(),) for other in range(levels)
        }
        for level in range(levels)
    }


def merged(store: Store, one: Node, two: Node) -> SymlinkTree:
    return merge([store.package(A, one), store.package(B, two)], ())


@pytest.mark.slow
@pytest.mark.parametrize("tree", [diamonds, cycles])
def test_a_few_links_that_stand_for_millions_are_refused(store: Store, tree: object) -> None:
    assert callable(tree)

    with pytest.raises(UnsupportedTree, match="more than 250,000 files and directories"):
        merged(store, tree(27, ""), tree(27, "/."))


@pytest.mark.slow
def test_directories_under_many_names_are_merged_once_and_written_under_each(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = 0
    claims = merging.Merger._settle

    def counting(*arguments: object) -> None:
        nonlocal visits
        visits += 1
        claims(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(merging.Merger, "_settle", counting)

    found = merged(store, diamonds(10, ""), diamonds(10, "/."))

    names = {entry.name for entry in found.entries if isinstance(entry, Symlink)}
    for levels in range(11):
        path = "level0" + "/x" * levels
        below = {name[len(path) + 1 :] for name in map(bytes.decode, names) if f"{path}/" in name}
        alike = f"level{levels}"
        assert below == {
            name[len(alike) + 1 :] for name in map(bytes.decode, names) if f"{alike}/" in name
        }
    assert len(names) == 2 * sum(2**level for level in range(11))
    assert visits < 60


@pytest.mark.slow
def test_a_long_chain_of_links_is_refused_like_deep_directories(store: Store) -> None:
    def chain(end: str) -> Node:
        return {
            f"level{level}".encode(): {b"next": (f"../level{level + 1}{end}".encode(),)}
            for level in range(1000)
        }

    with pytest.raises(UnsupportedTree, match=f"more than {DEEPEST} directories deep"):
        merged(store, chain(""), chain("/."))


def test_a_name_longer_than_the_system_takes_is_refused(store: Store) -> None:
    def chain(end: str) -> Node:
        return {
            f"level{level}".encode(): {b"n" * 250: (f"../level{level + 1}{end}".encode(),)}
            for level in range(30)
        }

    with pytest.raises(UnsupportedTree, match="a name is longer than 4,095 bytes"):
        merged(store, chain(""), chain("/."))


def test_names_of_a_single_package_count_as_well(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = store.package(A, {b"lib": {b"one": {b"a": b"", b"b": b""}, b"two": b""}})
    monkeypatch.setattr(symlink_tree, "_MOST_NAMES", 5)
    found = merge([package], ())
    assert [type(entry) for entry in found.entries] == [Archived]
    monkeypatch.setattr(symlink_tree, "_MOST_NAMES", 4)

    with pytest.raises(UnsupportedTree, match="more than 4 files"):
        merge([package], ())


def test_many_bytes_of_names_count_as_well(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    package = store.package(A, {b"lib": {b"n" * 200: {b"m" * 200: b""}}})
    monkeypatch.setattr(symlink_tree, "_MOST_BYTES", 1000)

    with pytest.raises(UnsupportedTree, match="their names have more than 0 MiB"):
        merge([package], ())


async def listed(tmp_path: Path, *paths: StorePath) -> SymlinkTree:
    file_trees = FileTrees(
        storage=MemoryStorage(), workers=Workers(1), store=local_store(tmp_path / "store")
    )
    closure = Closure((StoreObject(A, 0, ()), StoreObject(B, 0, (A,))))
    files = await file_trees.merge([(path, DEFAULT_PRIORITY) for path in paths], (), closure)
    return files.links


async def test_the_refusal_names_the_packages(tmp_path: Path) -> None:
    plant_path(tmp_path / "store", A, diamonds(27, ""))
    plant_path(tmp_path / "store", B, diamonds(27, "/."))

    with pytest.raises(LinksTooMany, match=r"^the links to a, b fit in no image: they are more"):
        await listed(tmp_path, A, B)


@pytest.mark.parametrize(
    ("bound", "message"),
    [("_MOST_NAMES", "more than 8 files and directories"), ("_MOST_BYTES", "more than 0 MiB")],
)
async def test_a_package_of_too_many_names_is_refused_whether_they_are_its_own_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, message: str
) -> None:
    many: Node = {str(number).encode(): b"" for number in range(9)}
    plant_path(tmp_path / "store", A, many)
    plant_path(tmp_path / "store", B, {b"lib": (f"../{A.base}".encode(),)})
    monkeypatch.setattr(reading, bound, 8)

    for path in (A, B):
        with pytest.raises(Unpackable, match=message):
            await listed(tmp_path, path)


async def test_directories_deeper_than_the_system_names_are_the_packages_fault(
    tmp_path: Path,
) -> None:
    plant_path(tmp_path / "store", A, {})
    deep = os.open(tmp_path / "store" / A.base, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 250, dir_fd=deep)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)

    with pytest.raises(Unpackable, match="a path in it is too long"):
        await listed(tmp_path, A)


@pytest.mark.slow
async def test_a_cancelled_merge_ends(store: Store) -> None:
    packages = [
        await asyncio.to_thread(store.package, path, cycles(27, end))
        for path, end in ((A, ""), (B, "/."))
    ]
    workers = Workers(1)
    started = threading.Event()

    def merge_all() -> SymlinkTree:
        started.set()
        return merge(packages, ())

    running = asyncio.create_task(workers.run(merge_all))
    await until(started.is_set)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await workers.run(threads.check)


async def test_file_trees_are_cached_within_a_bound_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.builder.images.contents.file_trees._CACHED_NAMES", 4)
    file_trees = FileTrees(storage=MemoryStorage(), workers=Workers(1), store=local_store(tmp_path))
    for path in (A, B):
        plant_path(tmp_path, path, {b"x": b"", b"y": b""})
        await file_trees.read(path, alone(path))

    assert set(file_trees._cache) == {B}
