"""Packages merged into one root."""

import io
import os
import tarfile
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from app.builder.images.contents.base import base_entries
from app.builder.images.contents.claims import Package
from app.builder.images.contents.merging import Collision
from app.builder.images.contents.reading import read_file_tree
from app.builder.images.contents.symlink_tree import SymlinkTree, merge
from app.builder.images.packing.entry import Archived, Directory, Entry, Symlink
from app.builder.images.packing.tar_header import END_OF_ARCHIVE
from app.builder.nix.closure import StorePath
from app.builder.nix.store import UnsupportedTree
from tests.unit.builder.images.packing.trees import Node, local_store, plant_path, store_path

REPEATED = (b"usr/bin", b"sbin", b"usr/sbin", b"nix/bin")
A, B, C = store_path(1, "a"), store_path(2, "b"), store_path(3, "c")


class Store:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def package(self, path: StorePath, tree: Node, priority: int = 5) -> Package:
        plant_path(self.directory, path, tree)
        closure = [StorePath(path.name) for path in self.directory.iterdir()]
        return Package(path, read_file_tree(path, local_store(self.directory), closure), priority)

    def link(self, path: StorePath, below: str = "") -> tuple[bytes]:
        """A link as Nix builds them: the full path of something in the store."""
        return (os.fsencode(f"{path}/{below}"),)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def entries(merged: SymlinkTree) -> list[Entry]:
    """What was archived as a whole, one by one."""
    found: list[Entry] = []
    for entry in merged.entries:
        if isinstance(entry, Archived):
            archive = io.BytesIO(entry.tar + END_OF_ARCHIVE)
            with tarfile.open(fileobj=archive, errors="surrogateescape") as members:
                found += map(entry_of, members)
        else:
            found.append(entry)
    return found


def entry_of(member: tarfile.TarInfo) -> Entry:
    name = os.fsencode(member.name)
    if member.isdir():
        return Directory(name, mode=member.mode, uid=member.uid, gid=member.gid)
    assert member.issym()
    return Symlink(name, os.fsencode(member.linkname))


def links(merged: SymlinkTree) -> dict[str, str]:
    """Links, without the names that repeat a program's; those into the store as absolute paths."""
    return {
        entry.name.decode(): target(entry)
        for entry in entries(merged)
        if isinstance(entry, Symlink) and entry.name.rpartition(b"/")[0] not in REPEATED
    }


def target(link: Symlink) -> str:
    assert not link.target.startswith(b"/")
    directory = b"".join(link.name.rpartition(b"/")[:2])
    path = os.path.normpath(b"/" + directory + link.target)
    return path.decode() if path.startswith(b"/nix/") else link.target.decode()


def directories(merged: SymlinkTree) -> set[str]:
    return {entry.name.decode() for entry in entries(merged) if isinstance(entry, Directory)}


def test_directories_are_real_and_files_are_links_into_the_store(store: Store) -> None:
    package = store.package(A, {b"bin": {b"x": b""}, b"share": {b"doc": {}}, b"top": b""})

    merged = merge([package], ())

    assert directories(merged) >= {"bin", "share", "share/doc"}
    assert links(merged) == {"bin/x": f"{A}/bin/x", "top": f"{A}/top"}
    assert merged.collisions == ()


def test_trees_of_several_packages_share_their_directories(store: Store) -> None:
    a = store.package(A, {b"bin": {b"x": b""}, b"lib": {b"a": b""}})
    b = store.package(B, {b"bin": {b"y": b""}})

    assert links(merge([a, b], ())) == {
        "bin/x": f"{A}/bin/x",
        "bin/y": f"{B}/bin/y",
        "lib/a": f"{A}/lib/a",
    }


def test_a_path_that_two_names_stand_for_shares_nothing_with_itself(store: Store) -> None:
    tree: Node = {b"bin": {b"x": b"", b"y": (b"x",)}, b"lib": {b"a": {b"b": b""}}, b"sys": {}}
    package = store.package(A, tree)

    once, twice = merge([package], ()), merge([replace(package, priority=10), package], ())

    assert links(twice) == links(once)
    assert twice.collisions == once.collisions == (Collision(b"sys", None, A),)


def test_files_for_builders_are_left_out(store: Store) -> None:
    package = store.package(
        A, {b"nix-support": {b"setup-hook": b""}, b"etc": {b"nix-support": b""}}
    )

    assert links(merge([package], ())) == {"etc/nix-support": f"{A}/etc/nix-support"}


def test_the_store_and_the_mounts_of_runtimes_are_reserved(store: Store) -> None:
    package = store.package(A, {b"nix": {b"store": b""}, b"proc": b"", b"dev": {}, b"sys": {}})

    merged = merge([package], ())

    assert merged.entries == ()
    assert [item.name for item in merged.collisions] == [b"dev", b"nix", b"proc", b"sys"]


def test_a_name_that_would_hide_others_is_left_out_and_reported(store: Store) -> None:
    package = store.package(A, {b"bin": {b".wh.sh": b"", b"x": b""}})

    merged = merge([package], ())

    assert links(merged) == {"bin/x": f"{A}/bin/x"}
    assert merged.collisions == (Collision(b"bin/.wh.sh", None, A),)


@pytest.mark.parametrize(
    ("priorities", "keeper"), [((5, 5, 5), A), ((5, 4, 5), B), ((6, 6, 5), C), ((5, 5, -1), C)]
)
def test_a_file_of_several_is_kept_by_priority_then_name_whatever_the_order(
    store: Store, priorities: tuple[int, ...], keeper: StorePath
) -> None:
    packages = [
        store.package(path, {b"bin": {b"x": b""}}, priority)
        for path, priority in zip((A, B, C), priorities, strict=True)
    ]

    merges = [merge(order, ()) for order in permutations(packages)]

    assert links(merges[0]) == {"bin/x": f"{keeper}/bin/x"}
    assert {item.dropped for item in merges[0].collisions} == {A, B, C} - {keeper}
    assert {item.kept for item in merges[0].collisions} == {keeper}
    assert all(merged == merges[0] for merged in merges)


def test_packages_of_one_name_are_kept_by_path(store: Store) -> None:
    one, other = store_path(1, "same"), store_path(2, "same")

    merged = merge([store.package(path, {b"x": b""}) for path in (other, one)], ())

    assert merged.collisions == (Collision(b"x", one, other),)


@pytest.mark.parametrize("first", ["file", "directory"])
def test_between_a_file_and_a_directory_the_order_decides(store: Store, first: str) -> None:
    file, directory = store_path(1, "file"), store_path(1, "directory")
    packages = [
        store.package(file, {b"x": b""}, 1 if first == "file" else 2),
        store.package(directory, {b"x": {b"y": b""}}, 1 if first == "directory" else 2),
    ]

    merged = merge(packages, ())

    if first == "file":
        assert links(merged) == {"x": f"{file}/x"}
        assert merged.collisions == (Collision(b"x", file, directory),)
    else:
        assert links(merged) == {"x/y": f"{directory}/x/y"}
        assert merged.collisions == (Collision(b"x", directory, file),)


def test_a_single_link_is_replaced_by_a_link_to_it(store: Store) -> None:
    package = store.package(A, {b"lib": {b"a": b""}, b"lib64": (b"lib",), b"gone": (b"nowhere",)})

    assert links(merge([package], ())) == {
        "lib/a": f"{A}/lib/a",
        "lib64": f"{A}/lib64",
        "gone": f"{A}/gone",
    }


def test_a_link_to_a_directory_merges_with_anothers_directory(store: Store) -> None:
    a = store.package(A, {b"lib": {b"a": b""}, b"lib64": (b"lib",)})
    b = store.package(B, {b"lib64": {b"b": b""}})

    merged = merge([a, b], ())

    assert links(merged) == {
        "lib/a": f"{A}/lib/a",
        "lib64/a": f"{A}/lib/a",
        "lib64/b": f"{B}/lib64/b",
    }
    assert merged.collisions == ()


def test_a_link_to_a_directory_of_another_store_path_merges_too(store: Store) -> None:
    store.package(C, {b"share": {b"man": {b"c": b""}}})
    a = store.package(A, {b"share": store.link(C, "share")})
    b = store.package(B, {b"share": {b"man": {b"b": b""}}})

    assert links(merge([a, b], ())) == {
        "share/man/b": f"{B}/share/man/b",
        "share/man/c": f"{C}/share/man/c",
    }


def test_two_links_to_directories_merge(store: Store) -> None:
    store.package(C, {b"one": {b"1": b""}, b"two": {b"2": b""}})
    a = store.package(A, {b"share": store.link(C, "one")})
    b = store.package(B, {b"share": store.link(C, "two")})

    assert links(merge([a, b], ())) == {"share/1": f"{C}/one/1", "share/2": f"{C}/two/2"}


def test_a_store_path_that_is_a_link_to_another_is_that_other(store: Store) -> None:
    store.package(C, {b"bin": {b"c": b""}})

    assert links(merge([store.package(A, store.link(C))], ())) == {"bin/c": f"{C}/bin/c"}


def test_a_store_path_that_is_a_file_adds_nothing(store: Store) -> None:
    assert merge([store.package(A, b"text")], ()).entries == ()


def test_equal_links_within_packages_become_one_link_of_the_image(store: Store) -> None:
    """Debian's bin/X11, and a loop if it were followed."""
    a = store.package(A, {b"bin": {b"x": b"", b"X11": (b".",)}, b"lib64": (b"lib",), b"lib": {}})
    b = store.package(B, {b"bin": {b"y": b"", b"X11": (b".",)}, b"lib64": (b"lib",), b"lib": {}})

    assert links(merge([a, b], ())) == {
        "bin/x": f"{A}/bin/x",
        "bin/y": f"{B}/bin/y",
        "bin/X11": f"{A}/bin/X11",
        "lib64": "lib",
    }


def test_links_that_lead_back_up_end(store: Store) -> None:
    a = store.package(A, {b"d": {b"up": (b"..",), b"x": b""}})
    b = store.package(B, {b"d": {b"up": {b"d": {b"up": {b"y": b""}}}}})

    merged = merge([a, b], ())

    assert links(merged)["d/x"] == f"{A}/d/x"


def test_base_files_stay_and_their_directories_keep_their_modes(store: Store) -> None:
    package = store.package(
        A,
        {
            b"etc": {b"passwd": b"", b"mine": b""},
            b"tmp": {b"x": b""},
            b"root": (b"etc",),
            b"var": b"a file",
        },
    )

    merged = merge([package], base_entries())

    assert links(merged) == {
        "etc/mine": f"{A}/etc/mine",
        "root/mine": f"{A}/etc/mine",
        "root/passwd": f"{A}/etc/passwd",
        "tmp/x": f"{A}/tmp/x",
    }
    modes = {entry.name: entry.mode for entry in merged.entries if isinstance(entry, Directory)}
    assert modes == {b"etc": 0o755, b"root": 0o700, b"tmp": 0o1777}
    assert set(merged.collisions) == {
        Collision(b"etc/passwd", None, A),
        Collision(b"var", None, A),
    }


@pytest.mark.parametrize("names", [[b"ca-bundle.crt"], [b"ca-bundle.crt", b"ca-certificates.crt"]])
def test_certificates_have_the_name_that_is_replaced_and_others_lead_to_it(
    store: Store, names: list[bytes]
) -> None:
    package = store.package(A, {b"etc": {b"ssl": {b"certs": dict.fromkeys(names, b"")}}})

    merged = merge([package], base_entries())

    assert links(merged) == {
        "etc/ssl/certs/ca-certificates.crt": f"{A}/etc/ssl/certs/{names[-1].decode()}",
        "etc/ssl/certs/ca-bundle.crt": "ca-certificates.crt",
    }
    assert merged.collisions == ()


def test_sh_has_the_name_that_scripts_use_if_the_image_has_a_shell(store: Store) -> None:
    a = store.package(A, {b"bin": {b"env": b"", b"ls": b""}})
    b = store.package(B, {b"bin": {b"bash": b""}})

    both = merge([a, b], base_entries())

    assert links(both)["bin/sh"] == f"{B}/bin/bash"
    assert both.shells == ("bash", "sh")
    assert "bin/sh" not in links(merge([a], base_entries()))
    assert merge([a], base_entries()).shells == ()


def test_every_directory_of_programs_has_every_program(store: Store) -> None:
    a = store.package(A, {b"bin": {b"bash": b"", b"deep": {b"x": b""}}, b"sbin": (b"bin",)})
    b = store.package(B, {b"sbin": {b"bash": b"", b"ip": b""}, b"usr": {b"bin": {b"own": b""}}})

    merged = merge([a, b], base_entries())

    expected = {
        "bash": f"{A}/bin/bash", "sh": f"{A}/bin/bash",
        "ip": f"{B}/sbin/ip", "own": f"{B}/usr/bin/own",
    }  # fmt: skip
    for directory in (b"bin", *REPEATED):
        found = {
            entry.name.rpartition(b"/")[2].decode(): target(entry)
            for entry in merged.entries
            if isinstance(entry, Symlink) and entry.name.rpartition(b"/")[0] == directory
        }
        assert found == expected
    assert merged.collisions == (Collision(b"sbin/bash", A, B),)


def test_repeated_programs_count_as_names(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.builder.images.contents.symlink_tree._MOST_NAMES", 30)
    programs = {b"%d" % number: b"" for number in range(6)}

    with pytest.raises(UnsupportedTree, match="more than 30 files"):
        merge([store.package(A, {b"bin": programs})], base_entries())


def test_a_directory_that_the_base_links_merges_where_the_link_leads(store: Store) -> None:
    a = store.package(A, {b"share": {b"man": {b"a": b""}}, b"usr": {b"share": {b"doc": b""}}})
    b = store.package(B, {b"share": store.link(A, "share")})
    c = store.package(C, {b"share": b"a file"})

    merged = merge([a, b, c], base_entries())

    assert links(merged) == {
        "usr/share/doc": f"{A}/usr/share/doc",
        "usr/share/man/a": f"{A}/share/man/a",
    }
    assert merged.collisions == (
        Collision(b"usr/share", None, C),
        Collision(b"usr/share/man/a", A, B),
    )


def test_locales_are_below_usr_lib_too(store: Store) -> None:
    package = store.package(A, {b"lib": {b"locale": {b"locale-archive": b""}, b"x": b""}})

    assert links(merge([package], base_entries())) == {
        "lib/locale/locale-archive": f"{A}/lib/locale/locale-archive",
        "lib/x": f"{A}/lib/x",
        "usr/lib/locale": "../../lib/locale",
    }


def test_a_link_too_long_to_be_relative_is_absolute(store: Store) -> None:
    directory, tree = b"d" * 100, {b"x": b""}
    for _ in range(38):
        tree = {directory: tree}  # type: ignore[dict-item]  # a tree, as the one before

    [link] = [
        entry
        for entry in entries(merge([store.package(A, tree)], ()))
        if isinstance(entry, Symlink)
    ]

    assert len(link.target) <= 4095


def test_a_package_that_has_a_sh_of_its_own_keeps_it(store: Store) -> None:
    a = store.package(A, {b"bin": {b"sh": b"", b"bash": b""}})

    assert links(merge([a], base_entries()))["bin/sh"] == f"{A}/bin/sh"


def test_a_collision_reads_as_a_sentence() -> None:
    assert str(Collision(b"bin/x", A, B)) == "/bin/x is a's, not b's"
    assert str(Collision(b"etc/\xff", None, B)) == "/etc/\\xff is the image's, not b's"
