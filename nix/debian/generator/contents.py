"""Contents of a package that its dependency fields do not list: interpreters and programs."""

import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

PROGRAM = re.compile(r"(?:usr/)?(?:s?bin|games)/([^/]+)")
# Interpreters other than shells count only in directories of programs: a script in a package's
# data is not a dependency.
PROGRAM_PLACES = re.compile(r"(usr/)?(s?bin|games|libexec)/|usr/lib/git-core/")
INTERPRETERS = (
    (re.compile(r"(ba)?sh"), "bash"),
    (re.compile(r"perl[\d.]*"), "perl"),
    (re.compile(r"python3?[\d.]*"), "python3"),
    (re.compile(r"[gm]?awk"), "gawk"),
    (re.compile(r"ruby[\d.]*"), "ruby"),
    (re.compile(r"node(js)?"), "nodejs"),
    (re.compile(r"tclsh[\d.]*"), "tcl8.6"),
    (re.compile(r"dash"), "dash"),
    (re.compile(r"zsh"), "zsh"),
)


@dataclass(frozen=True, slots=True)
class Contents:
    """Names of a package's programs, and of the interpreters in their first lines."""

    interpreters: tuple[str, ...]
    programs: tuple[str, ...]


def requested_interpreter(start: bytes, place: str) -> str | None:
    """Return the name of the interpreter in a file's first line, if it is a dependency."""
    if not start.startswith(b"#!"):
        return None
    tokens = start[2:].split(b"\n")[0].decode(errors="replace").split()
    path = tokens[0] if tokens else ""
    if path.endswith("/env"):
        tokens = [token for token in tokens[1:] if not token.startswith("-")]
        path = tokens[0] if tokens else ""
    if not path or not (PROGRAM_PLACES.match(place) or path in ("/bin/sh", "/bin/bash")):
        return None
    return path.rpartition("/")[2]


def scan(package: Path) -> Contents:
    """Read a whole package; dpkg-deb supports the compressions of its release. Blocking."""
    interpreters: set[str] = set()
    programs: set[str] = set()
    with (
        subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
        ) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as data,
    ):
        for member in data:
            place = member.name.removeprefix("./")
            if program := PROGRAM.fullmatch(place):
                programs.add(program[1])
            if member.isreg() and member.mode & 0o111 and not place.startswith("usr/share/doc/"):
                start = cast("IO[bytes]", data.extractfile(member)).read(256)
                if interpreter := requested_interpreter(start, place):
                    interpreters.add(interpreter)
    return Contents(tuple(sorted(interpreters)), tuple(sorted(programs)))


def interpreter_units(interpreters: Iterable[str]) -> frozenset[str]:
    return frozenset(
        unit for name in interpreters for pattern, unit in INTERPRETERS if pattern.fullmatch(name)
    )
