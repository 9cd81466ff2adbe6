"""The runtime of builds: busybox, a Python interpreter, zstd and their libraries.

The files are copied from pinned packages, so that a lock gives the same tree on every machine. The
runtime is a directory, because busybox chooses its function by the last part of its path, which
for a single file in the store is `<hash>-busybox`.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from nix.debian.generator.release import Architecture

NAME = "package-set-runtime"
PROGRAMS = {"busybox": "busybox", "zstd": "zstd"}
INTERPRETER = re.compile(r"python3\.\d+")


class RuntimeIncomplete(Exception):
    """The packages lack a file that a build needs."""


def unpack_runtime(packages: Iterable[Path], architecture: Architecture, into: Path) -> Path:
    """Make the tree in the empty directory `into`. Blocking. Raises RuntimeIncomplete."""
    raw, tree = into / "raw", into / NAME
    raw.mkdir()
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, raw], check=True)
    (tree / "bin").mkdir(parents=True)
    (tree / "lib").mkdir()
    for source in programs(raw):
        target = "python3" if INTERPRETER.fullmatch(source.name) else source.name
        put(source, tree / "bin" / target, executable=True)
    for directory in (raw / "lib", raw / "usr/lib"):
        for library in sorted((directory / architecture.triplet).glob("*.so*")):
            put(library, tree / "lib" / library.name, executable=True)
    (standard,) = (raw / "usr/lib").glob("python3.*[0-9]")
    for source in sorted(standard.rglob("*")):
        if source.is_file() and not source.is_symlink():
            put(source, tree / "lib" / source.relative_to(standard.parent), executable=False)
    if not (tree / "lib" / architecture.loader).exists():
        raise RuntimeIncomplete(f"no {architecture.loader} in the runtime's packages")
    return tree


def programs(raw: Path) -> tuple[Path, ...]:
    """Return the paths of the runtime's programs. Raises RuntimeIncomplete."""
    found = {}
    for directory in (raw / "bin", raw / "usr/bin"):
        for path in sorted(directory.glob("*")):
            if path.name in PROGRAMS:
                found[path.name] = path
            elif INTERPRETER.fullmatch(path.name):
                found["python3"] = path
    if missing := {*PROGRAMS, "python3"} - found.keys():
        raise RuntimeIncomplete(f"no {', '.join(sorted(missing))} in the runtime's packages")
    return tuple(path for _, path in sorted(found.items()))


def put(source: Path, target: Path, *, executable: bool) -> None:
    """Copy a file; a link becomes a copy of its target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    target.chmod(0o555 if executable else 0o444)
