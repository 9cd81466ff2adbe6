"""Builds one unit: packages unpacked into one prefix that runs from where it lies.

Runs inside Nix's sandbox, or without one, and sees only store paths.
"""

import os
import sys
from pathlib import Path

from nix.debian.builder.adjustments import ADJUSTMENTS, ContentMissing
from nix.debian.builder.archive import NotAPackage
from nix.debian.builder.dependencies import Record, closure, write_record
from nix.debian.builder.elf import NoSpareHeader
from nix.debian.builder.layout import Layout
from nix.debian.builder.libraries import own_sonames, patch_libraries
from nix.debian.builder.prefix import Prefix
from nix.debian.builder.scripts import rewrite_scripts
from nix.debian.builder.task import Task, read_task
from nix.debian.builder.unpack import unpack
from nix.debian.builder.wrappers import (
    NoShell,
    has_perl,
    has_python,
    perl_directories,
    python_directories,
    wrap_programs,
)

# The loader must not be patched like others, since it is what patching refers to.
UNPATCHED = "glibc"


class LibrariesUnresolved(Exception):
    """A program needs libraries that nothing it depends on provides."""


REFUSALS = (ContentMissing, LibrariesUnresolved, NoShell, NoSpareHeader, NotAPackage)


def build(task: Task) -> None:
    """Raises ContentMissing, LibrariesUnresolved, NoShell, NoSpareHeader, NotAPackage."""
    for output in (task.out, *((task.man,) if task.man else ()), *task.other_outputs):
        output.mkdir(parents=True, exist_ok=True)
    prefix = Prefix(task, Layout(task.triplet), closure(task.dependencies))
    unpack(prefix)
    add_links(prefix)
    sonames = own_sonames(task.out)
    if task.recipe.adjust != UNPATCHED:
        refuse_unresolved(task, patch_libraries(prefix, sonames))
    interpreters = rewrite_scripts(prefix)
    if task.recipe.adjust:
        ADJUSTMENTS[task.recipe.adjust](prefix)
    record = Record(
        dependencies=task.dependencies,
        sonames=sonames,
        perl=not has_perl(task.out) and bool(perl_directories(task.out)),
        python=not has_python(task.out) and bool(python_directories([task.out])),
    )
    wrap_programs(prefix, interpreters)
    write_record(record, task.unit, task.out)
    remove_empty_directories(task.out)


def add_links(prefix: Prefix) -> None:
    for place, target in sorted(prefix.task.recipe.links.items()):
        path = prefix.absolute(place)
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(prefix.task.expand(target))


def refuse_unresolved(task: Task, unresolved: frozenset[str]) -> None:
    if surprising := unresolved - task.recipe.unresolved:
        raise LibrariesUnresolved(
            f"no dependency provides {', '.join(sorted(surprising))}; "
            "what can be done without is listed as `unresolved` in wanted/units.toml"
        )


def remove_empty_directories(out: Path) -> None:
    for base, _, _ in os.walk(out, topdown=False):
        if base != str(out) and not os.listdir(base):  # noqa: PTH208  a count is all that is asked
            Path(base).rmdir()


def main() -> None:
    """The last words of a refused build are what is wrong, not where it was noticed."""
    # By its place: what Nix 2.8 puts into NIX_ATTRS_JSON_FILE names the path outside the sandbox.
    task = read_task(Path(".attrs.json"), zstd=tuple(sys.argv[1:]))
    try:
        build(task)
    except REFUSALS as reason:
        sys.exit(f"{task.unit}: {reason}")
