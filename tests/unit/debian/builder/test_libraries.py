from pathlib import Path

import pytest

from nix.debian.builder.build import LibrariesUnresolved
from nix.debian.builder.dependencies import closure, read_record
from nix.debian.builder.elf import Elf, read_elf
from nix.debian.builder.task import Recipe
from tests.unit.debian.builder.elves import Sample
from tests.unit.debian.builder.units import Store


def elf(path: Path) -> Elf:
    return read_elf(path, 62)


def library(*needed: str) -> bytes:
    return Sample(needed=needed, interpreter=None).content()


def test_a_program_finds_its_loader_and_libraries_in_the_store(store: Store) -> None:
    libc = store.libc()
    a = store.unit(
        "liba", {"usr/lib/x86_64-linux-gnu/liba.so.1": library("libc.so.6")}, needs=("libc",)
    )
    out = store.unit(
        "tool",
        {"usr/bin/tool": Sample(needed=("liba.so.1", "libc.so.6")).content()},
        needs=("liba",),
    )
    assert elf(out / "bin/tool").interpreter == f"{libc}/lib/ld-linux-x86-64.so.2"
    assert elf(out / "bin/tool").runpath == (f"{a}/lib", f"{libc}/lib")
    assert elf(a / "lib/liba.so.1").runpath == (f"{libc}/lib",)


def test_a_units_own_library_comes_before_a_dependencys(store: Store) -> None:
    store.libc()
    store.unit("old", {"usr/lib/libx.so.1": library()})
    out = store.unit(
        "tool",
        {
            "usr/bin/tool": Sample(needed=("libx.so.1",)).content(),
            "usr/lib/tool/libx.so.1": library(),
        },
        needs=("libc", "old"),
    )
    assert elf(out / "bin/tool").runpath == (f"{out}/lib/tool",)


def test_the_packagers_library_path_is_kept_where_it_means_something(store: Store) -> None:
    store.libc()
    out = store.unit(
        "tool",
        {
            "usr/bin/tool": Sample(
                needed=("libx.so",), runpath="$ORIGIN/../lib:/usr/lib/tool:/gone"
            ).content(),
            "usr/lib/tool/libx.so": library(),
        },
        needs=("libc",),
    )
    assert elf(out / "bin/tool").runpath == ("$ORIGIN/../lib", f"{out}/lib/tool")


def test_a_library_without_a_provider_is_refused(store: Store) -> None:
    store.libc()
    with pytest.raises(LibrariesUnresolved, match=r"libgone\.so\.1"):
        store.unit(
            "tool", {"usr/bin/tool": Sample(needed=("libgone.so.1",)).content()}, needs=("libc",)
        )


def test_a_library_listed_as_dispensable_is_not(store: Store) -> None:
    store.libc()
    store.unit(
        "tool",
        {"usr/bin/tool": Sample(needed=("libgone.so.1",)).content()},
        needs=("libc",),
        recipe=Recipe(unresolved=frozenset(["libgone.so.1"])),
    )


def test_a_library_loaded_by_name_is_on_the_path(store: Store) -> None:
    store.libc()
    late = store.unit("late", {"usr/lib/liblate.so.1": library()})
    out = store.unit(
        "tool",
        {"usr/bin/tool": Sample(needed=()).content()},
        needs=("libc", "late"),
        recipe=Recipe(dlopen=("liblate.so.1",)),
    )
    assert elf(out / "bin/tool").runpath == (f"{late}/lib",)


def test_a_file_by_several_names_is_changed_once(store: Store) -> None:
    libc = store.libc()
    out = store.unit(
        "tool",
        {"usr/bin/one": Sample().content()},
        hard_links={"usr/bin/two": "usr/bin/one", "usr/bin/three": "usr/bin/one"},
        needs=("libc",),
    )
    assert elf(out / "bin/three").runpath == (f"{libc}/lib",)
    assert sum(s.kind == 1 for s in elf(out / "bin/two").segments) == 2


def test_another_machines_library_is_left_alone(store: Store) -> None:
    store.libc()
    foreign = Sample(machine=183).content()
    out = store.unit("tool", {"usr/lib/tool/foreign.so": foreign}, needs=("libc",))
    assert (out / "lib/tool/foreign.so").read_bytes() == foreign


def test_a_record_makes_every_dependency_a_reference(store: Store) -> None:
    libc = store.libc()
    out = store.unit("tool", {"usr/lib/x86_64-linux-gnu/libt.so.1": library()}, needs=("libc",))
    record = read_record("tool", out)
    assert record.dependencies == {"libc": str(libc)}
    assert record.sonames == {"libt.so.1": "lib"}


def test_a_closure_is_nearest_first(store: Store) -> None:
    store.unit("c", {"usr/share/c": b""})
    store.unit("b", {"usr/share/b": b""}, needs=("c",))
    store.unit("a", {"usr/share/a": b""}, needs=("b",))
    store.unit("z", {"usr/share/z": b""}, needs=("c",))
    found = closure({name: str(store.built[name]) for name in ("z", "a")})
    assert [dependency.unit for dependency in found] == ["a", "z", "b", "c"]
