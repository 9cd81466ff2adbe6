"""A server is killed while git unpacks files, and the next one unpacks them at once."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.builder.sources.definition import GitDefinition
from tests.ownership import start_process
from tests.unit.builder.sources.git.repository import Repository, upstream
from tests.waiting import until

pytestmark = pytest.mark.slow

SERVER = """
import asyncio, sys
from pathlib import Path
from app.builder.sources.definition import GitDefinition
from tests.unit.builder.sources.git.repository import upstream

async def main(location, state):
    source = upstream(GitDefinition(name="set", location=location), Path(state))
    async with source.checkout(await source.find("main")):
        pass

asyncio.run(main(*sys.argv[1:]))
"""
# Git with a large set, for as long as the gate is there.
GIT = """#!/bin/sh
case "$*" in
*checkout-index*)
    shift 3
    number=0
    while [ -e "{gate}" ]; do
        number=$((number + 1))
        mkdir -p "$1/$number"
        : >"$1/$number/file"
    done ;;
*) exec {git} "$@" ;;
esac
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    gate = tmp_path / "gate"
    gate.touch()
    yield gate
    gate.unlink()


async def test_the_git_of_a_killed_server_does_not_disturb_the_next_one(
    tmp_path: Path, gate: Path
) -> None:
    repository = Repository(tmp_path / "upstream")
    repository.commit("content")
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(GIT.format(gate=gate, git=shutil.which("git")))
    git.chmod(0o755)
    state = tmp_path / "state"
    server = start_process(
        [sys.executable, "-c", SERVER, repository.url, state],
        env={"PATH": f"{git.parent}:{os.environ['PATH']}", "PYTHONPATH": os.curdir},
        cwd=Path(__file__).parents[5],
    )
    await until(lambda: any(state.glob("trees/*/tmp*/*/file")))

    server.kill()
    server.wait()

    source = upstream(GitDefinition(name="set", location=repository.url), state)
    async with source.checkout(await source.find("main")) as package_set:
        assert [file.name for file in Path(package_set.reference).iterdir()] == ["default.nix"]
