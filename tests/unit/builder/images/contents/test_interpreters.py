"""Libraries composed with their interpreters, in the layouts of nixpkgs and of Debian's packages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from app.builder.images.contents import interpreters
from app.builder.images.contents.base import base_entries
from app.builder.images.contents.file_trees import FileTrees, ImageFiles
from app.builder.images.packing.entry import Archived, File, Symlink, archive_order
from app.builder.nix.closure import Closure, StoreObject, StorePath
from app.errors import LinksTooMany
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import Node, local_store, plant_path, store_path

PYTHON, LIBRARY, NEEDED, FAR, TOOL = (
    store_path(number, name)
    for number, name in enumerate(("python3", "lib", "needed", "far", "tool"), 1)
)


def python(version: bytes) -> Node:
    return {
        b"bin": {b"python" + version: b"", b"python3": (b"python" + version,)},
        b"lib": {b"python" + version: {b"os.py": b""}},
    }


def library(name: bytes, directory: bytes = b"python3.11", site: bytes = b"site-packages") -> Node:
    return {b"bin": {name: b""}, b"lib": {directory: {site: {name + b".py": b""}}}}


async def composed(
    home: Path,
    named: Sequence[StorePath],
    trees: Mapping[StorePath, Node],
    references: Mapping[StorePath, Sequence[StorePath]],
) -> ImageFiles:
    home.mkdir(exist_ok=True)
    for path, tree in trees.items():
        plant_path(home / "store", path, tree)
    closure = Closure(StoreObject(path, 1, tuple(references.get(path, ()))) for path in trees)
    file_trees = FileTrees(
        storage=MemoryStorage(), workers=Workers(1), store=local_store(home / "store")
    )
    files = await file_trees.merge([(path, 5) for path in named], base_entries(), closure)
    archive_order(files.entries)  # raises for entries that fit in no archive
    return files


def names(files: ImageFiles) -> set[bytes]:
    found = set()
    for entry in files.entries:
        if isinstance(entry, Archived):
            found |= {part for part in entry.tar.split(b"\0") if part}
        found.add(entry.name)
    return found


CHAIN = {LIBRARY: (NEEDED, PYTHON), NEEDED: (FAR, TOOL), TOOL: ()}
TREES: Mapping[StorePath, Node] = {
    PYTHON: python(b"3.11"),
    LIBRARY: library(b"lib"),
    NEEDED: library(b"needed"),
    FAR: library(b"far"),
    TOOL: {b"bin": {b"tool": b""}},
}


async def test_needed_libraries_are_merged_and_nothing_else_of_them(tmp_path: Path) -> None:
    files = await composed(tmp_path, (PYTHON, LIBRARY), TREES, CHAIN)

    merged = names(files)
    site = b"lib/python3.11/site-packages/"
    assert {site + b"lib.py", site + b"needed.py", site + b"far.py", b"bin/lib"} <= merged
    assert not {b"bin/needed", b"bin/far", b"bin/tool"} & merged


async def test_without_the_interpreter_libraries_stay_by_themselves(tmp_path: Path) -> None:
    files = await composed(tmp_path, (LIBRARY,), TREES, CHAIN)

    assert files.additions.entries == ()
    assert not any(b"needed" in name for name in names(files))


async def test_pythons_prefix_is_the_images_own(tmp_path: Path) -> None:
    files = await composed(tmp_path, (PYTHON,), TREES, CHAIN)

    added = {entry.name: entry for entry in files.entries}
    venv = b"home = /usr/bin\ninclude-system-site-packages = true\n"
    assert added[b"usr/pyvenv.cfg"] == File(b"usr/pyvenv.cfg", venv)
    in_root = venv.replace(b"/usr/bin", b"/nix/bin")
    assert added[b"pyvenv.cfg"] == File(b"pyvenv.cfg", in_root)
    link = Symlink(b"nix/lib/python3.11", b"../../lib/python3.11")
    assert added[b"nix/lib/python3.11"] == link
    link = Symlink(b"usr/lib/python3.11", b"../../lib/python3.11")
    assert added[b"usr/lib/python3.11"] == link


async def test_two_versions_are_each_served_by_their_own_directory(tmp_path: Path) -> None:
    trees = {PYTHON: python(b"3.11"), LIBRARY: python(b"3.14")}

    files = await composed(tmp_path, (PYTHON, LIBRARY), trees, {})

    merged = names(files)
    assert {b"usr/lib/python3.11", b"usr/lib/python3.14", b"usr/pyvenv.cfg"} <= merged
    assert {b"usr/bin/python3.11", b"usr/bin/python3.14", b"usr/bin/python3"} <= merged
    assert b"pyvenv.cfg" not in merged  # 3.14 warns of it for a program in /bin


async def test_debians_layout_is_the_same_for_all_versions(tmp_path: Path) -> None:
    trees = {
        PYTHON: python(b"3.11"),
        LIBRARY: library(b"lib", b"python3", b"dist-packages"),
        NEEDED: library(b"needed", b"python3", b"dist-packages"),
    }

    files = await composed(tmp_path, (PYTHON, LIBRARY), trees, {LIBRARY: (NEEDED,)})

    assert {b"lib/python3/dist-packages/needed.py", b"usr/lib/python3"} <= names(files)


@pytest.mark.parametrize(
    ("place", "variable"),
    [
        ((b"lib", b"perl5", b"site_perl"), "/lib/perl5/site_perl"),
        ((b"share", b"perl5"), "/share/perl5"),
    ],
)
async def test_perls_modules_are_listed_in_a_variable(
    tmp_path: Path, place: tuple[bytes, ...], variable: str
) -> None:
    tree: Node = {b"Needed.pm": b""}
    for name in reversed(place):
        tree = {name: tree}
    trees: Mapping[StorePath, Node] = {
        PYTHON: {b"bin": {b"perl": b""}}, LIBRARY: tree, NEEDED: tree,
    }  # fmt: skip

    alone = await composed(tmp_path / "alone", (PYTHON,), trees, {})
    both = await composed(tmp_path, (PYTHON, LIBRARY), trees, {LIBRARY: (NEEDED,)})

    assert alone.additions.environment == {}
    assert both.additions.environment == {"PERL5LIB": variable}


async def test_a_library_that_is_named_precedes_one_that_is_only_needed(tmp_path: Path) -> None:
    trees = {**TREES, FAR: library(b"lib"), TOOL: {}}

    files = await composed(tmp_path, (PYTHON, LIBRARY), trees, CHAIN)

    [link] = [e for e in files.entries if e.name.endswith(b"site-packages/lib.py")]
    assert isinstance(link, Symlink)
    assert LIBRARY.base.encode() in link.target


async def test_the_number_of_store_paths_that_are_looked_at_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "_MOST_PATHS", 4)

    with pytest.raises(LinksTooMany, match="their libraries need more than 4 store paths"):
        await composed(tmp_path, (PYTHON, LIBRARY), TREES, CHAIN)


@pytest.mark.parametrize(
    ("interpreter", "libraries", "expected"),
    [
        (
            {b"bin": {b"lua5.4": b"", b"lua": (b"lua5.4",)}},
            {
                b"share": {b"lua": {b"5.4": {b"a.lua": b""}, b"5.1": {b"a.lua": b""}}},
                b"lib": {b"lua": {b"5.4": {b"b.so": b""}}},
            },
            {
                "LUA_PATH": "/share/lua/5.1/?.lua;/share/lua/5.1/?/init.lua;;",
                "LUA_PATH_5_4": "/share/lua/5.4/?.lua;/share/lua/5.4/?/init.lua;;",
                "LUA_CPATH_5_4": "/lib/lua/5.4/?.so;;",
            },
        ),
        (
            {b"bin": {b"ruby": b""}, b"lib": {b"ruby": {b"3.1.0": {b"set.rb": b""}}}},
            {b"lib": {b"ruby": {b"gems": {b"3.1.0": {b"gems": {b"a-1": {b"a.rb": b""}}}}}}},
            {"GEM_PATH": "/lib/ruby/gems/3.1.0:"},
        ),
        (
            {
                b"bin": {b"ruby": b""},
                b"lib": {b"ruby": {b"3.1.0": {b"set.rb": b""}, b"vendor_ruby": {b"own.rb": b""}}},
            },
            {
                b"lib": {b"ruby": {b"vendor_ruby": {b"a.rb": b""}}},
                b"share": {b"rubygems-integration": {b"all": {b"a.gemspec": b""}}},
            },
            {
                "GEM_PATH": "/share/rubygems-integration/all:",
                "RUBYLIB": "/lib/ruby/vendor_ruby:/lib/ruby/3.1.0",
            },
        ),
        (
            {b"bin": {b"R": b""}, b"lib": {b"R": {b"library": {b"stats": {b"DESCRIPTION": b""}}}}},
            {
                b"library": {b"alpha": {b"DESCRIPTION": b""}},
                b"lib": {b"R": {b"site-library": {b"beta": {b"DESCRIPTION": b""}}}},
            },
            {"R_LIBS_SITE": "/usr/local/lib/R/site-library:/library:/lib/R/site-library"},
        ),
    ],
    ids=["lua", "gems", "ruby modules", "R"],
)
async def test_search_paths_have_the_directories_of_libraries(
    tmp_path: Path, interpreter: Node, libraries: Node, expected: Mapping[str, str]
) -> None:
    trees: Mapping[StorePath, Node] = {TOOL: interpreter, LIBRARY: libraries}

    both = await composed(tmp_path / "both", (TOOL, LIBRARY), trees, {})
    alone = await composed(tmp_path / "alone", (TOOL,), trees, {})

    assert both.additions.environment == expected
    assert alone.additions.environment == {}


async def test_node_looks_into_the_root_for_every_script(tmp_path: Path) -> None:
    library: Node = {b"lib": {b"node_modules": {b"alpha": {b"index.js": b""}}}}
    trees: Mapping[StorePath, Node] = {TOOL: {b"bin": {b"node": b""}}, LIBRARY: library}

    both = await composed(tmp_path / "both", (TOOL, LIBRARY), trees, {})
    alone = await composed(tmp_path / "alone", (TOOL,), trees, {})

    assert Symlink(b"node_modules", b"lib/node_modules") in both.entries
    assert b"lib/node_modules/alpha/index.js" in names(both)
    assert b"node_modules" not in names(alone)
