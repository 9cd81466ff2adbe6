"""The loader and the libraries that programs of other distributions find."""

from pathlib import Path

import pytest

from app.builder.images.contents.base import base_entries
from app.builder.images.contents.file_trees import FileTrees, ImageFiles
from app.builder.images.contents.foreign import LOADERS, MOST_BYTES, adapted
from app.builder.images.contents.library_cache import library_cache
from app.builder.images.packing.entry import File, Symlink, archive_order
from app.builder.nix.closure import StorePath
from app.errors import LinksTooMany, StoreUnreadable
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import (
    Node,
    alone,
    local_store,
    plant_path,
    store_path,
)

GLIBC, CXX, TOOLS = (
    store_path(number, name) for number, name in enumerate(("glibc-2.40", "gcc-lib", "tools"), 1)
)
AMD64, ARM64 = LOADERS
DASHES = b"/--------------------/\0/------------------------/\0/---/\0/-------/\0"
CXX_TREE: Node = {
    b"lib": {b"libstdc++.so.6": (b"libstdc++.so.6.0.30",), b"libstdc++.so.6.0.30": b""},
    b"lib64": (b"lib",),
}


def glibc(loader: bytes, content: bytes = b"a loader") -> Node:
    return {b"lib": {loader: content, b"libc.so.6": b"", b"libm.so.6": b""}}


def trees_in(home: Path, **trees: Node) -> FileTrees:
    home.mkdir(exist_ok=True)
    paths = {"glibc": GLIBC, "cxx": CXX, "tools": TOOLS}
    for name, tree in trees.items():
        plant_path(home / "store", paths[name], tree)
    return FileTrees(storage=MemoryStorage(), workers=Workers(1), store=local_store(home / "store"))


async def merged(trees: FileTrees, *paths: StorePath) -> ImageFiles:
    files = await trees.merge([(path, 5) for path in paths], base_entries(), alone(*paths))
    archive_order(files.entries)  # raises for entries that fit in no archive
    return files


async def test_the_loader_is_at_its_place_and_libraries_are_below_usr(tmp_path: Path) -> None:
    trees = trees_in(tmp_path, glibc=glibc(AMD64.name, b"\0" + DASHES), cxx=CXX_TREE)

    files = await merged(trees, GLIBC, CXX)

    found = {entry.name: entry for entry in files.entries}
    loader = found[b"lib64/ld-linux-x86-64.so.2"]
    assert isinstance(loader, File)
    assert (loader.mode, b"/usr/lib/x86_64-linux-gnu/\0/lib/\0" in loader.content) == (0o755, True)
    assert found[b"lib/ld-linux-x86-64.so.2"] == Symlink(
        b"lib/ld-linux-x86-64.so.2", b"../lib64/ld-linux-x86-64.so.2"
    )
    for name in (b"usr/lib/libstdc++.so.6", b"usr/lib64/libm.so.6"):
        assert found[name] == Symlink(name, b"../../lib/" + name.rpartition(b"/")[2])
    assert found[b"lib64/libstdc++.so.6"].name  # the package's own link lib64 -> lib
    assert b"etc/ld.so.cache" not in found
    assert files.links.collisions == ()


async def test_on_arm64_the_copy_replaces_the_link_to_the_loader(tmp_path: Path) -> None:
    trees = trees_in(tmp_path, glibc=glibc(ARM64.name), tools={b"bin": {b"ldconfig": b""}})

    files = await merged(trees, GLIBC, TOOLS)

    found = {entry.name: entry for entry in files.entries}
    assert isinstance(found[b"lib/ld-linux-aarch64.so.1"], File)
    assert found[b"etc/ld.so.cache"] == File(
        b"etc/ld.so.cache", library_cache([b"libc.so.6", b"libm.so.6"], 0x0A03)
    )
    assert files.links.collisions == ()


async def test_an_image_without_a_c_library_has_none_of_it(tmp_path: Path) -> None:
    files = await merged(trees_in(tmp_path, cxx=CXX_TREE), CXX)

    assert files.additions.entries == ()


async def test_a_loader_of_another_file_type_is_left_alone(tmp_path: Path) -> None:
    tree: Node = {b"lib": {AMD64.name: (b"ld.so",), b"ld.so": b""}}

    files = await merged(trees_in(tmp_path, glibc=tree), GLIBC)

    assert files.additions.entries == ()


async def test_a_file_that_is_too_large_or_gone_is_refused(tmp_path: Path) -> None:
    large = trees_in(tmp_path / "large", glibc=glibc(AMD64.name, bytes(MOST_BYTES + 1)))
    with pytest.raises(LinksTooMany, match="more than 4 MiB"):
        await merged(large, GLIBC)

    gone = trees_in(tmp_path / "gone", glibc=glibc(AMD64.name))
    await gone.read(GLIBC, alone(GLIBC))
    (tmp_path / "gone" / "store" / GLIBC.base / "lib" / AMD64.name.decode()).unlink()
    with pytest.raises(StoreUnreadable):
        await merged(gone, GLIBC)


def test_nixpkgs_directories_are_replaced_in_place() -> None:
    own = str(GLIBC).encode()
    content = own + b"/lib/\0" + own + b"/lib/gconv\0" + own + b"/etc/ld.so.cache\0end"

    changed = adapted(content, AMD64, GLIBC)

    first, second, *rest = changed.split(b"\0")
    assert (len(changed), len(first)) == (len(content), len(own) + 5)
    assert first.rstrip(b"/") == b"/lib"
    assert second == own + b"/lib/gconv"
    assert [text for text in rest if text] == [b"/etc/ld.so.cache", b"end"]
