"""What a package holds that its dependency fields do not tell: interpreters and programs."""

import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

PROGRAM = re.compile(r"(?:usr/)?(?:s?bin|games)/([^/]+)")
# Another interpreter than a shell counts only where programs lie: a stray script in a
# package's data does not make it need one.
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
    """Names of the interpreters a package's programs ask for, and of its programs."""

    interpreters: tuple[str, ...]
    programs: tuple[str, ...]


def asked_interpreter(start: bytes, place: str) -> str | None:
    """The name of the interpreter a file's first line asks for, where it counts."""
    if not start.startswith(b"#!"):
        return None
    words = start[2:].split(b"\n")[0].decode(errors="replace").split()
    asked = words[0] if words else ""
    if asked.endswith("/env"):
        words = [word for word in words[1:] if not word.startswith("-")]
        asked = words[0] if words else ""
    if not asked or not (PROGRAM_PLACES.match(place) or asked in ("/bin/sh", "/bin/bash")):
        return None
    return asked.rpartition("/")[2]


def scan(package: Path) -> Contents:
    """Blocking. Reads the whole package; dpkg-deb knows every compression its release uses."""
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
                if interpreter := asked_interpreter(start, place):
                    interpreters.add(interpreter)
    return Contents(tuple(sorted(interpreters)), tuple(sorted(programs)))


def interpreter_units(interpreters: Iterable[str]) -> frozenset[str]:
    return frozenset(
        unit for name in interpreters for pattern, unit in INTERPRETERS if pattern.fullmatch(name)
    )
