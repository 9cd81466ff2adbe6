"""The default source is part of readiness: a server that can open nothing is not ready."""

import json
from pathlib import Path

import pytest

from app.builder.jobs.readiness import Check, Readiness
from app.builder.sources import opened
from app.builder.sources.definition import GitDefinition, PathDefinition, SourceDefinition
from app.builder.sources.opened import check_opened
from app.builder.sources.opening import Sources
from app.settings.expressions import EMBEDDED_PACKAGES
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from nix.debian.generator.lock import read_lock

SYSTEM = "x86_64-linux"


async def problem(tmp_path: Path, definition: SourceDefinition) -> str:
    workers = Workers(1)
    sources = Sources(
        directory=tmp_path / "sources",
        environment={"PATH": "/usr/bin:/bin"},
        storage=MemoryStorage(),
        workers=workers,
    )
    source = sources.open(definition)

    async def run() -> None:
        await check_opened(source, system=SYSTEM, workers=workers)

    try:
        readiness = Readiness(checks=(Check("source", run),), limit_seconds=60, remember_seconds=0)
        [result] = await readiness.results()
        return result.problem
    finally:
        await sources.close()


def directory(tmp_path: Path) -> PathDefinition:
    return PathDefinition(name="own", location=tmp_path / "set")


async def test_missing_directory_or_expression_is_not_ready(
    tmp_path: Path,
) -> None:
    own = directory(tmp_path)
    missing = await problem(tmp_path, own)
    own.location.mkdir()
    empty = await problem(tmp_path, own)
    (own.location / "default.nix").write_text("{ }: { }")

    assert missing == "source own cannot be read: No such file or directory"
    assert empty == "source own cannot be opened: set has no default.nix"
    assert await problem(tmp_path, own) == ""


async def test_file_is_a_source(tmp_path: Path) -> None:
    file = tmp_path / "packages.nix"
    file.write_text("{ }: { }")

    assert await problem(tmp_path, PathDefinition(name="own", location=file)) == ""


async def test_unreachable_repository_is_not_ready(tmp_path: Path) -> None:
    gone = GitDefinition(name="team", location=f"file://{tmp_path}/gone.git")

    assert (await problem(tmp_path, gone)).startswith("source team cannot be reached")


async def test_unprepared_packages_are_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = directory(tmp_path)
    lock = own.location / "locks" / f"{SYSTEM}.json"
    lock.parent.mkdir(parents=True)
    (own.location / "default.nix").write_text("{ }: { }")
    runtime = {"name": "package-set-runtime", "narHash": "0" * 64}
    lock.write_text(json.dumps({"build": {"runtime": runtime}}))

    assert await problem(tmp_path, own) == (
        "the packages of source own are not prepared: run `nixery prepare`"
    )

    monkeypatch.setattr(opened, "_runtime_path", lambda _: str(tmp_path))
    assert await problem(tmp_path, own) == ""


@pytest.mark.parametrize("system", ["x86_64-linux", "aarch64-linux"])
def test_checked_path_is_that_of_the_runtime_in_the_store(system: str) -> None:
    lock = EMBEDDED_PACKAGES / "locks" / f"{system}.json"

    assert str(opened._runtime_path(lock)) == read_lock(lock).build.runtime.store_path
