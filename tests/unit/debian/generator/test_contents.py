from pathlib import Path

import pytest

from nix.debian.generator.contents import Contents, interpreter_units, requested_interpreter, scan
from tests.unit.debian.debs import Package


def test_programs_and_their_interpreters_are_found(tmp_path: Path) -> None:
    package = Package(
        files={
            "usr/bin/shell": b"#!/bin/sh\n",
            "usr/sbin/snake": b"#! /usr/bin/env -S python3 -u\n",
            "usr/games/pearl": b"#!/usr/bin/perl -w\n",
            "usr/bin/compiled": b"\x7fELF",
            "usr/bin/link": "shell",
            "usr/share/doc/sample/bin/example": b"#!/usr/bin/ruby\n",
            "usr/share/sample/stray": b"#!/usr/bin/tclsh\n",
        },
        executable=frozenset({"usr/games/pearl", "usr/share/sample/stray"}),
    ).write(tmp_path / "sample.deb")
    assert scan(package) == Contents(
        interpreters=("perl", "python3", "sh"),
        programs=("compiled", "link", "pearl", "shell", "snake"),
    )


@pytest.mark.parametrize(
    ("line", "place", "interpreter"),
    [
        (b"#!/bin/bash -e\n", "usr/share/sample/run", "bash"),
        (b"#!/usr/bin/python3\n", "usr/share/sample/run", None),
        (b"#!/usr/bin/python3\n", "usr/lib/git-core/git-p4", "python3"),
        (b"#!/usr/bin/env\n", "usr/bin/x", None),
        (b"#!\n", "usr/bin/x", None),
        (b"echo\n", "usr/bin/x", None),
    ],
)
def test_interpreters_other_than_shells_count_only_in_program_directories(
    line: bytes, place: str, interpreter: str | None
) -> None:
    assert requested_interpreter(line, place) == interpreter


def test_known_interpreters_become_units_and_others_are_ignored() -> None:
    assert interpreter_units(["sh", "bash", "perl5.36", "mawk", "python3.11", "php"]) == {
        "bash",
        "perl",
        "gawk",
        "python3",
    }
