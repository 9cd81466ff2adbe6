"""What sources need on this machine is asked for before a pull needs it."""

from pathlib import Path

import pytest

from app.builder.jobs.readiness import Readiness
from app.builder.sources.definition import (
    FlakeDefinition,
    GitDefinition,
    PathDefinition,
    SourceDefinition,
)
from app.builder.sources.opening import Sources
from app.storage.memory import MemoryStorage
from app.system.workers import Workers

FILES = PathDefinition(name="files", location=Path("/srv/files"))
GIT = GitDefinition(name="git", location="/srv/team.git")
FLAKE = FlakeDefinition(name="flake", location="/srv/flake.git")


async def problems(tmp_path: Path, definition: SourceDefinition, path: str) -> list[str]:
    sources = Sources(
        directory=tmp_path,
        environment={"PATH": path},
        storage=MemoryStorage(),
        workers=Workers(1),
    )
    try:
        sources.open(FILES)
        sources.open(definition)
        readiness = Readiness(checks=sources.checks(), limit_seconds=10, remember_seconds=0)
        return [result.problem for result in await readiness.results()]
    finally:
        await sources.close()


@pytest.mark.parametrize("definition", [GIT, FLAKE], ids=["git", "flake"])
async def test_git_source_is_ready_if_git_is_installed(
    definition: SourceDefinition, tmp_path: Path
) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    assert await problems(tmp_path, definition, str(tmp_path)) == [""]
    assert await problems(tmp_path, definition, "/nowhere") == [
        "git is not installed (apt-get install git)"
    ]
    program.chmod(0o644)
    assert await problems(tmp_path, definition, str(tmp_path)) == [
        "cannot start git: Permission denied"
    ]


async def test_path_source_needs_no_git(tmp_path: Path) -> None:
    assert await problems(tmp_path, FILES.model_copy(update={"name": "more"}), "/nowhere") == []
