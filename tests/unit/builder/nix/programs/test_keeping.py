"""Valid paths are kept by a root; Nix neither builds nor downloads for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.keeping import keep
from app.builder.nix.programs.programs import Programs
from app.builder.nix.roots import TemporaryRoots
from app.errors import StoreUnavailable
from app.system.environment import child_environment
from app.system.workers import Workers
from tests.recorded_programs import RecordedPrograms

A, B = (StorePath.parse(f"/nix/store/{letter * 32}-{letter}") for letter in "ab")
SETTINGS = ("--option", "cores", "3")
NOTHING = (
    *("--option", "substitute", "false"),
    *("--option", "max-jobs", "0"),
    *("--option", "builders", ""),
)


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedPrograms:
    return RecordedPrograms(tmp_path)


@pytest.fixture
async def programs(recorded: RecordedPrograms, tmp_path: Path) -> AsyncIterator[Programs]:
    configuration = NixConfiguration(
        environment=child_environment({"PATH": str(recorded.directory)}, home=tmp_path),
        directory=tmp_path / "configuration",
        workers=Workers(1),
    )
    yield Programs(configuration=configuration, store_seconds=60)
    await configuration.close()


async def test_valid_paths_are_kept(
    recorded: RecordedPrograms, programs: Programs, tmp_path: Path
) -> None:
    recorded.add("nix-store", stdout=f"{B}\n")

    assert await keep(programs, SETTINGS, [B, A], TemporaryRoots(tmp_path)) == {A}

    queried, kept = recorded.starts
    assert queried.command == (
        *("nix-store", "--check-validity", "--print-invalid", str(A), str(B)),
        *SETTINGS,
    )
    assert kept.command == (
        *("nix-store", "--realise", str(A), "--add-root", f"{tmp_path}/root1"),
        *(*SETTINGS, *NOTHING),
    )


async def test_without_valid_paths_no_root_is_made(
    recorded: RecordedPrograms, programs: Programs, tmp_path: Path
) -> None:
    recorded.add("nix-store", stdout=f"{A}\n")

    assert await keep(programs, SETTINGS, [], TemporaryRoots(tmp_path)) == frozenset()
    assert recorded.starts == []
    assert await keep(programs, SETTINGS, [A], TemporaryRoots(tmp_path)) == frozenset()
    assert len(recorded.starts) == 1


@pytest.mark.parametrize(
    ("failing", "message"),
    [("--check-validity", "cannot query its store"), ("--realise", "cannot keep paths")],
)
async def test_failure_is_one_of_the_store(
    recorded: RecordedPrograms, programs: Programs, tmp_path: Path, failing: str, message: str
) -> None:
    recorded.add("nix-store", fails_with=failing, stderr="error: database is locked\n")

    with pytest.raises(StoreUnavailable, match=f"{message}.*: database is locked"):
        await keep(programs, SETTINGS, [A], TemporaryRoots(tmp_path))
