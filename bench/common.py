"""Shared by benches: store paths to work on, and the measurement of programs."""

import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.cache import cache_directory

ROOT = Path(__file__).resolve().parent.parent
STORE = Path("/nix/store")
TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """A requirement is missing; the message explains how to get it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Times in seconds; ``memory`` is the largest process's resident set in bytes."""

    wall: float
    cpu: float
    memory: int


def small_set() -> Path:
    """Return a directory to import, all of it built; download and build what is missing.

    Exits if that fails, with the reason on the terminal.
    """
    generate = ROOT / "nix" / "debian" / "generate.py"
    prepared = subprocess.run(
        [sys.executable, generate, "prepare"], stdout=subprocess.PIPE, text=True, check=False
    )
    if prepared.returncode:
        sys.exit("the packages could not be prepared; the reason is above")
    return Path(prepared.stdout.strip())


def full_set() -> Path | None:
    """Return the full set's directory if it is prepared; its packages may not be built."""
    directory = cache_directory() / "sets" / "full"
    return directory if lock(directory).is_file() else None


def lock(packages: Path) -> Path:
    """Return the lock for this machine."""
    return packages / "locks" / f"{platform.machine()}-linux.json"


def closure(attributes: Sequence[str], packages: Path) -> list[Path]:
    """Return the store paths of an image of these packages.  Raises Missing."""
    names = " ".join(
        f'(lib.getAttrFromPath (lib.splitString "." "{name}") set)' for name in attributes
    )
    expression = (
        f"let set = import {packages.absolute()} {{ }}; inherit (set) lib;"
        f" in map (item: item.outPath) [ {names} ]"
    )
    if not shutil.which("nix-instantiate"):
        raise Missing("Nix is not installed")
    evaluated = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "-E", expression],
        capture_output=True,
        text=True,
        check=False,
    )
    if evaluated.returncode:
        reason = evaluated.stderr.strip().splitlines()[-1]
        raise Missing(f"{reason}; for all of them: python3 nix/debian/generate.py prepare --full")
    roots = [token.strip('"') for token in evaluated.stdout.split() if token.startswith('"')]
    if absent := [root for root in roots if not Path(root).exists()]:
        raise Missing(
            f"not built yet ({' '.join(absent)}): nix-build {packages} -A {' -A '.join(attributes)}"
        )
    listed = subprocess.run(
        ["nix-store", "-qR", *roots], capture_output=True, text=True, check=True
    )
    return sorted(Path(line) for line in listed.stdout.split())


def measure(command: Sequence[str | Path], *, directory: Path | None = None) -> Cost:
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=directory)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    wall = time.perf_counter() - begun
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def cpu_seconds(pid: int) -> float:
    return sum(cpu_times(pid))


def cpu_times(pid: int) -> tuple[float, float]:
    """Return the seconds in the program, and those in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def own_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def source_tree(revision: str) -> Iterator[Path]:
    """Check a revision out; its packages must be those that are installed here."""
    with tempfile.TemporaryDirectory(prefix="nixery-tree-") as directory:
        archive = subprocess.run(
            ["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", directory], input=archive.stdout, check=True)
        yield Path(directory)
