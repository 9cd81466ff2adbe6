"""Links are followed within a closure only."""

import os
from pathlib import Path

import pytest

from app.builder.images.contents.file_tree import Link, Tree, scan
from app.builder.images.contents.links import Links
from tests.unit.builder.images.packing.trees import plant_path, store_path

OWN, NEEDED, FOREIGN = store_path(1, "own"), store_path(2, "needed"), store_path(3, "foreign")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three packages, of which the first needs the second."""
    store = tmp_path / "store"
    foreign = os.fsencode(store / FOREIGN.base)
    plant_path(store, FOREIGN, {b"d": {b"secret": b""}, b"back": (os.fsencode(store / OWN.base),)})
    plant_path(store, NEEDED, {b"d": {b"x": b""}, b"out": (foreign + b"/d",), b"file": b""})
    plant_path(store, OWN, {b"d": {b"e": {}}, b"link": (b"d",), b"loop": (b"loop",)})
    (tmp_path / "outside").mkdir()
    (tmp_path / "back").symlink_to(store / OWN.base)
    return store


def where(store: Path, target: str) -> bytes | None:
    """Of a link beside ``d`` of the first package; names stand for paths of the store."""
    for name, path in (("OWN", OWN), ("NEEDED", NEEDED), ("FOREIGN", FOREIGN)):
        target = target.replace(name, f"{store}/{path.base}")
    links = Links(store, [OWN, NEEDED])
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
def test_what_is_outside_of_the_closure_is_not_looked_at(store: Path, target: str) -> None:
    assert where(store, target) is None


@pytest.mark.parametrize(
    "target", ["loop", "none", "d/none", "NEEDED/file", "NEEDED/file/..", "x" * 300]
)
def test_loops_files_and_what_is_not_there_are_no_directories(store: Path, target: str) -> None:
    assert where(store, target) is None


def test_a_listing_has_no_names_of_what_the_package_does_not_need(store: Path) -> None:
    own = store / OWN.base
    (own / "needed").symlink_to(store / NEEDED.base / "d")
    (own / "foreign").symlink_to(store / FOREIGN.base / "d")

    listing = scan(OWN, store, [OWN, NEEDED])

    assert list(listing.linked) == [f"{NEEDED.base}/d".encode()]
    assert isinstance(listing.root, Tree)
    assert listing.root.children[b"foreign"] == Link(os.fsencode(store / FOREIGN.base / "d"), None)
