"""What Nix's dry run prints, and the command that it is started with."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.dry_run import DryRun, dry_run, parse
from app.builder.nix.programs.programs import Programs
from app.errors import StoreUnavailable
from app.system.environment import child_environment
from app.system.workers import Workers
from tests.recorded_programs import RecordedPrograms

A, B, C = (
    StorePath(f"{letter * 32}-{name}") for letter, name in (("a", "a"), ("b", "b"), ("c", "c"))
)
OPTIONS = RealiseOptions(source="team", seconds=100, build=True, substituters=None)
# Nix 2.8.
LISTS = f"""warning: something else
these 2 derivations will be built:
  {A}
  {B}
these 1 paths will be fetched (0.10 MiB download, 0.50 MiB unpacked):
  {C}
don't know how to build these paths (may be caused by read-only store access):
  {A}
  not a path
warning: the end
  {B}
"""


def test_each_list_is_read_and_other_lines_are_ignored() -> None:
    assert parse(LISTS.splitlines()) == DryRun(
        builds=frozenset({A, B}), downloads=frozenset({C}), unknown=frozenset({A})
    )


@pytest.mark.parametrize(
    "heading",
    [
        "this derivation will be built:",
        "these derivations will be built:",
        "these 12 derivations will be built:",
    ],
)
def test_headings_differ_between_versions_and_numbers(heading: str) -> None:
    assert parse([heading, f"  {A}"]).builds == {A}


async def started(
    programs: RecordedPrograms, home: Path, options: RealiseOptions, arguments: Sequence[str]
) -> DryRun:
    surroundings = {"PATH": str(programs.directory)}
    configuration = NixConfiguration(
        environment=child_environment(surroundings, home=home),
        directory=home / "configuration",
        workers=Workers(1),
    )
    opened = Programs(configuration=configuration, store_seconds=30)
    return await dry_run(opened, configuration, arguments, options, seconds=60)


async def test_nothing_is_realised(tmp_path: Path) -> None:
    programs = RecordedPrograms(tmp_path)
    programs.add("nix-store", stderr=LISTS)

    found = await started(
        programs, tmp_path, replace(OPTIONS, build=False, substituters=()), [str(C)]
    )

    assert found.downloads == {C}
    (start,) = programs.starts
    assert start.command[:4] == ("nix-store", "--realise", "--dry-run", str(C))
    assert (start.option("max-jobs"), start.option("substitute")) == ("0", "false")


async def test_a_failure_is_transient_and_has_its_reason(tmp_path: Path) -> None:
    programs = RecordedPrograms(tmp_path)
    programs.add("nix-store", stderr="error: the database is locked\n", code=1)

    with pytest.raises(StoreUnavailable, match="the database is locked"):
        await started(programs, tmp_path, OPTIONS, [])
