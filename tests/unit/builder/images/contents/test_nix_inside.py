"""The database of Nix's paths, as SQLite reads it, and what surrounds it."""

import hashlib
import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing

import pytest

from app.builder.images.contents import nix_inside
from app.builder.images.contents.base import base_entries
from app.builder.images.contents.claims import Package
from app.builder.images.contents.file_tree import FileTree, Tree
from app.builder.images.contents.nix_database import nix_database
from app.builder.images.contents.nix_inside import has_nix, nix_additions
from app.builder.images.packing.entry import Directory, File
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.builder.nix.store import UnsupportedTree
from tests.unit.builder.images.packing.trees import store_path

NIX, TOOL = store_path(1, "nix"), store_path(2, "tool")


def sha256(path: StorePath) -> str:
    return hashlib.sha256(path.base.encode()).hexdigest()


def closure(count: int, longest: int = 211) -> Closure:
    chance = random.Random(count)
    paths = [store_path(n, "x" * chance.randint(1, longest)) for n in range(count)]
    return Closure(
        StoreObject(
            path,
            chance.randint(0, 1 << chance.randint(1, 40)),
            tuple(sorted(set(chance.choices(paths, k=chance.randint(0, 20))) - {path})),
            sha256(path),
        )
        for path in paths
    )


def package(path: StorePath, program: bytes) -> Package:
    tree = FileTree(Tree({b"bin": Tree({program: Tree({})})}), {})
    return Package(path, tree, 5)


SLOW_COUNTS = (
    pytest.param(range(30, 50), marks=pytest.mark.slow),
    pytest.param([400], marks=pytest.mark.slow),
    pytest.param([1500], marks=pytest.mark.slow),
)


# From a page for each table to pages above pages, and every number of paths around the places
# where a page is full.
@pytest.mark.slow
@pytest.mark.parametrize("counts", [range(30), *SLOW_COUNTS])
def test_sqlite_finds_every_path_and_reference(counts: Iterable[int]) -> None:
    for count in counts:
        check(count)


def check(count: int) -> None:
    objects = closure(count).objects
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(nix_database(closure(count)))
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = database.execute("SELECT path, hash, narSize FROM ValidPaths ORDER BY id").fetchall()
        assert rows == [(str(p), f"sha256:{sha256(p)}", o.nar_size) for p, o in objects.items()]
        for path, item in objects.items():
            found = database.execute(
                "SELECT b.path FROM ValidPaths a JOIN Refs ON referrer = a.id"
                " JOIN ValidPaths b ON b.id = reference WHERE a.path = ?",
                (str(path),),
            )
            assert sorted(row[0] for row in found) == [str(path) for path in item.references]

        # It is one that SQLite writes to.
        database.execute(
            "INSERT INTO ValidPaths (path, hash, registrationTime) VALUES ('new', 'x', 2)"
        )
        assert database.execute("SELECT max(id) FROM ValidPaths").fetchone() == (count + 1,)
        database.execute("DELETE FROM Refs")
        database.execute("DELETE FROM ValidPaths")
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.slow
def test_the_bytes_are_the_same_with_every_sqlite() -> None:
    # Nothing of SQLite has a part in them, so that a digest can stand here.
    digest = hashlib.sha256(nix_database(closure(100))).hexdigest()
    assert digest == "523e90602750a0f4c0cabdc12e963b9d652c13274df30744241ad93c69300f0d"


def test_only_an_image_with_nix_has_its_state() -> None:
    objects = Closure(StoreObject(path, 1, (), sha256(path)) for path in (NIX, TOOL))
    tool, nix = package(TOOL, b"tool"), package(NIX, b"nix-store")

    assert not has_nix([tool])
    assert has_nix([tool, nix])

    base = {entry.name: entry for entry in base_entries()}
    entries = {
        entry.name: entry for entry in nix_additions([tool, nix], objects, nonroot=False).entries
    }
    for name in (b"etc/passwd", b"etc/group"):
        before, after = base[name], entries[name]
        assert isinstance(before, File)
        assert isinstance(after, File)
        assert after.content.startswith(before.content)
        assert b"nixbld" in after.content
    manifest = entries[b"nix/var/nix/image/manifest.nix"]
    assert isinstance(manifest, File)
    assert manifest.content.index(NIX.base.encode()) < manifest.content.index(TOOL.base.encode())

    owners = {
        entry.uid
        for entry in nix_additions([nix], objects, nonroot=True).entries
        if isinstance(entry, Directory | File) and entry.name.startswith(b"nix/var/nix/")
    }
    assert owners == {65532}


def test_a_database_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = Closure(
        [StoreObject(TOOL, 1, (), sha256(TOOL)), StoreObject(NIX, 1, (TOOL,), sha256(NIX))]
    )
    monkeypatch.setattr(nix_inside, "_MOST_ROWS", 2)

    with pytest.raises(UnsupportedTree, match="more than 2 rows"):
        nix_additions([package(NIX, b"nix-store")], objects, nonroot=False)
