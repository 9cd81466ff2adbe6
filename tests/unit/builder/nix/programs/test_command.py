"""Closures and checks of outputs, as the door to Nix makes them of its programs' output."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.door import DerivationsMissing, RealiseOptions
from app.builder.nix.programs.command import NixCommand
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.programs import Bounds
from app.builder.nix.results import Found
from app.builder.nix.roots import TemporaryRootsDirectory
from app.errors import StoreUnavailable
from app.system.environment import child_environment
from app.system.retrying import Retries
from app.system.workers import Workers
from tests.recorded_programs import RecordedPrograms

PATH = StorePath.parse(f"/nix/store/{'a' * 32}-package")
# This derivation is in no store.
DELETED = Found(
    attribute="package",
    derivation=StorePath.parse(f"/nix/store/{'0' * 32}-package.drv"),
    output="out",
    path=PATH,
)


@pytest.fixture
def programs(tmp_path: Path) -> RecordedPrograms:
    return RecordedPrograms(tmp_path)


@pytest.fixture
async def nix(programs: RecordedPrograms, tmp_path: Path) -> AsyncIterator[NixCommand]:
    workers = Workers(1)
    nix = NixCommand(
        configuration=NixConfiguration(
            environment=child_environment({"PATH": str(programs.directory)}, home=tmp_path),
            directory=tmp_path / "configuration",
            workers=workers,
        ),
        expressions=tmp_path,
        roots=TemporaryRootsDirectory(directory=tmp_path / "roots", workers=workers),
        workers=workers,
        options={},
        bounds=Bounds(retries=Retries(times=1, seconds=60, pause_seconds=0)),
    )
    yield nix
    await nix.close()


async def test_no_paths_have_a_closure_without_a_query(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    assert (await nix.closure([])).paths == ()
    assert programs.starts == []


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [("", "error: database is locked\n", "database is locked"), ("{", "", "")],
)
async def test_a_closure_that_cannot_be_listed_is_queried_again(
    nix: NixCommand, programs: RecordedPrograms, stdout: str, stderr: str, reason: str
) -> None:
    programs.add("nix", stdout=stdout, stderr=stderr, code=int(bool(stderr)))

    with pytest.raises(StoreUnavailable, match=f"Nix cannot list a closure: .*{reason}"):
        await nix.closure([PATH])

    assert len(programs.starts) == 2


async def test_outputs_are_checked_where_there_is_a_derivation(nix: NixCommand) -> None:
    await nix.check_outputs([DELETED])


async def test_a_deleted_derivation_is_not_realised(
    nix: NixCommand, programs: RecordedPrograms
) -> None:
    options = RealiseOptions(source="team", seconds=60, build=True, substituters=None)
    async with nix.temporary_roots() as roots:
        with pytest.raises(DerivationsMissing):
            await nix.realise([DELETED], options, roots=roots, on_line=lambda _: None)
    with pytest.raises(DerivationsMissing):
        await nix.require_derivations([DELETED], options)
    await nix.require_derivations([DELETED], replace(options, build=False))
    assert programs.starts == []
