import os
from pathlib import Path

from nix.debian.builder.task import Recipe
from tests.unit.debian.builder.units import Store
from tests.unit.debian.debs import Package


def target(path: Path) -> str:
    return str(path.readlink())


def test_files_keep_their_content_and_whether_they_are_programs(store: Store) -> None:
    out = store.unit("a", {"usr/bin/a": b"program", "usr/share/a/data": b"data"})
    assert (out / "bin/a").read_bytes() == b"program"
    assert [oct((out / p).stat().st_mode & 0o777) for p in ("bin/a", "share/a/data")] == [
        "0o755",
        "0o644",
    ]


def test_of_two_packages_with_one_path_the_first_wins(store: Store) -> None:
    packages = (
        Package(files={"usr/share/x": b"first"}),
        Package(files={"usr/share/x": b"second", "usr/share/y": b"y"}),
    )
    out = store.merged("a", packages)
    assert ((out / "share/x").read_bytes(), (out / "share/y").read_bytes()) == (b"first", b"y")


def test_links_lead_to_where_their_targets_went(store: Store) -> None:
    out = store.unit(
        "a",
        {
            "usr/lib/x86_64-linux-gnu/liba.so.1.2": b"library",
            "usr/lib/x86_64-linux-gnu/liba.so.1": "liba.so.1.2",
            "lib/x86_64-linux-gnu/liba.so": "/usr/lib/x86_64-linux-gnu/liba.so.1",
            "usr/sbin/tool": "../bin/real",
            "usr/bin/real": b"program",
        },
    )
    assert target(out / "lib/liba.so.1") == "liba.so.1.2"
    assert target(out / "lib/liba.so") == "liba.so.1"
    assert target(out / "bin/tool") == "real"
    assert (out / "lib/liba.so").read_bytes() == b"library"


def test_a_link_into_a_dependency_leads_there(store: Store) -> None:
    below = store.unit("below", {"usr/share/below/data": b"data"})
    out = store.unit("a", {"usr/share/a/data": "../below/data"}, needs=("below",))
    assert target(out / "share/a/data") == str(below / "share/below/data")


def test_a_link_that_merging_points_at_itself_is_not_made(store: Store) -> None:
    out = store.unit("a", {"usr/bin/tool": b"program", "usr/sbin/tool": "/usr/bin/tool"})
    assert (out / "bin/tool").read_bytes() == b"program"


def test_a_link_out_of_the_packages_stays_as_debian_has_it(store: Store) -> None:
    out = store.unit("a", {"usr/share/a/state": "/var/lib/a", "usr/share/a/proc": "/proc/mounts"})
    assert target(out / "share/a/state") == "/var/lib/a"
    assert target(out / "share/a/proc") == "/proc/mounts"


def test_hard_links_are_links_to_the_same_file(store: Store) -> None:
    out = store.unit(
        "a",
        {"usr/bin/perl": b"program"},
        hard_links={"usr/bin/perl5.36": "usr/bin/perl"},
    )
    assert (out / "bin/perl").stat().st_ino == (out / "bin/perl5.36").stat().st_ino


def test_an_alternative_is_made_where_nothing_else_has_the_name(store: Store) -> None:
    out = store.unit(
        "a",
        {"usr/bin/gawk": b"program", "usr/bin/taken": b"taken"},
        postinst=(
            "update-alternatives --install /usr/bin/awk awk /usr/bin/gawk 10\n"
            "update-alternatives --install /usr/bin/taken taken /usr/bin/gawk 10\n"
            "update-alternatives --install /usr/bin/none none /usr/bin/absent 10\n"
        ),
    )
    assert target(out / "bin/awk") == "gawk"
    assert (out / "bin/taken").read_bytes() == b"taken"
    assert not os.path.lexists(out / "bin/none")


def test_manual_pages_go_to_their_output_and_links_between_outputs_lead_there(
    store: Store, tmp_path: Path
) -> None:
    man = tmp_path / "man"
    out = store.unit(
        "a",
        {
            "usr/share/man/man1/a.1.gz": b"page",
            "usr/share/man/man1/b.1.gz": "a.1.gz",
            "usr/share/a/page": "/usr/share/man/man1/a.1.gz",
        },
        man=man,
    )
    assert not (out / "share/man").exists()
    assert target(man / "share/man/man1/b.1.gz") == "a.1.gz"
    assert target(out / "share/a/page") == str(man / "share/man/man1/a.1.gz")


def test_a_part_of_a_package_is_that_part_alone(store: Store) -> None:
    out = store.unit(
        "a",
        {"usr/bin/wanted": b"1", "usr/bin/other": b"2", "usr/share/x": b"3"},
        recipe=Recipe(only=frozenset(["bin/wanted"])),
        postinst="update-alternatives --install /usr/bin/w w /usr/bin/wanted 1\n",
    )
    assert sorted(p.name for p in (out / "bin").iterdir()) == ["wanted"]
    assert not (out / "share").exists()


def test_empty_directories_are_not_kept(store: Store) -> None:
    out = store.unit("a", {"usr/share/empty/": b"", "usr/bin/a": b""})
    assert not (out / "share").exists()


def test_links_a_recipe_adds_are_made_where_nothing_is(store: Store) -> None:
    below = store.unit("below", {"usr/bin/below": b""})
    out = store.unit(
        "a",
        {"usr/bin/bash": b"", "usr/bin/kept": b"kept"},
        needs=("below",),
        recipe=Recipe(
            links={"bin/sh": "bash", "bin/kept": "bash", "share/to/below": "@below@/bin/below"}
        ),
    )
    assert target(out / "bin/sh") == "bash"
    assert (out / "bin/kept").read_bytes() == b"kept"
    assert target(out / "share/to/below") == str(below / "bin/below")
