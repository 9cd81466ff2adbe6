import pytest

from nix.debian.builder.scripts import interpreter_of
from tests.unit.debian.builder.units import Store


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        (b"#!/bin/sh", ("sh", "")),
        (b"#! /usr/bin/perl -w", ("perl", "-w")),
        (b"#!/usr/bin/env python3", ("python3", "")),
        (b"#!/usr/bin/env -S awk -f", ("awk", "-f")),
        (b"#!/usr/bin/env", None),
        (b"#!/usr/bin/env VAR=1 sh", None),
        (b"#!/usr/bin/env -i sh", None),
        (b"#!/nix/store/x-bash/bin/sh", None),
        (b"#!/bin/sh\r", ("sh", "")),
        (b"echo", None),
    ],
)
def test_the_interpreter_is_seen_through_env(line: bytes, asked: tuple[str, str] | None) -> None:
    assert interpreter_of(line) == asked


def test_a_script_runs_by_an_interpreter_of_the_store(store: Store) -> None:
    bash = store.shell()
    out = store.unit("tool", {"usr/bin/tool": b"#!/bin/sh -e\necho $0\n"}, needs=("bash",))
    assert (out / "bin/tool").read_bytes() == f"#!{bash}/bin/sh -e\necho $0\n".encode()


def test_a_script_whose_interpreter_is_nowhere_stays(store: Store) -> None:
    text = b"#!/usr/bin/tclsh\nexec /usr/bin/tool\n"
    out = store.unit("tool", {"usr/bin/tool": text})
    assert (out / "bin/tool").read_bytes() == text


def test_paths_a_script_names_become_store_paths(store: Store) -> None:
    bash = store.shell()
    below = store.unit("below", {"usr/share/below/x": b"", "usr/bin/helper": b""})
    out = store.unit(
        "tool",
        {
            "usr/bin/tool": (
                b"#!/bin/sh\n/bin/bash /usr/bin/helper /usr/share/below /usr/share/tool\n"
                b"/usr/bin/unknown /usr/lib $ROOT/usr/bin/helper /usr/share/man x/usr/bin/helper\n"
            ),
            "usr/share/tool/data": b"",
        },
        needs=("bash", "below"),
    )
    assert (out / "bin/tool").read_text().splitlines()[1:] == [
        f"{bash}/bin/bash {below}/bin/helper {below}/share/below {out}/share/tool",
        "/usr/bin/unknown /usr/lib $ROOT/usr/bin/helper /usr/share/man x/usr/bin/helper",
    ]


def test_a_directory_two_units_have_is_neithers(store: Store) -> None:
    store.shell()
    store.unit("one", {"usr/share/plugins/one": b""})
    store.unit("two", {"usr/share/plugins/two": b""})
    text = b"#!/bin/sh\nls /usr/share/plugins\n"
    out = store.unit("tool", {"usr/bin/tool": text}, needs=("bash", "one", "two"))
    assert (out / "bin/tool").read_bytes().endswith(b"ls /usr/share/plugins\n")


def test_an_archive_behind_an_interpreter_line_is_not_changed(store: Store) -> None:
    bash = store.shell()
    body = b"PK\x03\x04\0\0/bin/bash\n\0"
    out = store.unit("tool", {"usr/bin/tool": b"#!/bin/sh\n" + body}, needs=("bash",))
    assert (out / "bin/tool").read_bytes() == f"#!{bash}/bin/sh\n".encode() + body


def test_sources_of_interpreted_languages_name_store_paths_too(store: Store) -> None:
    bash = store.shell()
    out = store.unit(
        "tool",
        {
            "usr/share/perl5/Tool.pm": b"exec '/bin/bash';\n",
            "usr/share/tool/notes.txt": b"see /bin/bash\n",
        },
        needs=("bash",),
    )
    assert (out / "share/perl5/Tool.pm").read_text() == f"exec '{bash}/bin/bash';\n"
    assert (out / "share/tool/notes.txt").read_text() == "see /bin/bash\n"


def test_a_linker_script_names_the_libraries_of_the_store(store: Store) -> None:
    libc = store.libc()
    out = store.unit(
        "dev",
        {
            "usr/lib/x86_64-linux-gnu/libc.so": b"/* GNU ld script */\nGROUP ( /lib/x86_64-linux-gnu/libc.so.6 )\n"
        },
        needs=("libc",),
    )
    assert f"GROUP ( {libc}/lib/libc.so.6 )" in (out / "lib/libc.so").read_text()
