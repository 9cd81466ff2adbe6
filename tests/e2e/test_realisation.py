"""Building, fetching and holding store paths with the Nix of this machine."""

import asyncio
import subprocess
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from app.builder.nix.closure import StorePath
from app.builder.nix.results import Found
from app.errors import (
    BuildFailed,
    BuildTimedOut,
    EvaluationFailed,
    PolicyRefused,
)
from tests.e2e.door import SMALL, Door, MakeDoor
from tests.waiting import until

pytestmark = pytest.mark.e2e


@pytest.fixture
def salted(tmp_path: Path) -> Path:
    """The packages of builds.nix under store paths that were never built."""
    file = tmp_path / "salted.nix"
    file.write_text(
        f'arguments: import {SMALL}/builds.nix (arguments // {{ salt = "{uuid.uuid4()}"; }})'
    )
    return file


@pytest.fixture
def builds(make_door: MakeDoor, salted: Path) -> Door:
    return make_door(location=salted)


async def test_a_package_is_built_and_its_closure_known(builds: Door) -> None:
    tree = await builds.package("tree")

    await builds.realise(tree)

    closure = await builds.nix.closure([tree.path])
    assert [path.name for path in sorted(closure.paths, key=lambda p: p.name)] == [
        "leaf-1.0",
        "tree-1.0",
    ]
    assert [r.name for r in closure[tree.path].references] == ["leaf-1.0"]
    assert closure[tree.path].nar_size == int(store("--size", str(tree.path)))
    assert "leaf-1.0> building the leaf" in builds.heard


async def test_the_closure_of_nothing_is_empty(builds: Door) -> None:
    assert len(await builds.nix.closure([])) == 0


async def test_only_the_wanted_output_is_in_the_closure(builds: Door) -> None:
    many = await builds.package("many")

    await builds.realise(many)

    closure = await builds.nix.closure([many.path])
    assert [path.name for path in closure.paths] == ["many-1.0-bin"]


@pytest.mark.parametrize("name", ["failing", "dependent"])
async def test_a_failed_build_names_the_derivation_that_failed_and_its_last_lines(
    builds: Door, name: str
) -> None:
    package = await builds.package(name)

    with pytest.raises(BuildFailed) as failure:
        await builds.realise(package)

    assert StorePath.parse(failure.value.derivation).name == "failing-1.0.drv"
    assert failure.value.log == ("first words", "last words")
    assert failure.value.message == (
        f"{failure.value.derivation} failed with exit code 3: first words | last words"
    )


async def test_a_build_that_runs_out_of_time_really_ends(make_door: MakeDoor, salted: Path) -> None:
    door = make_door(location=salted, build_seconds=4)
    slow = await door.package("slow")

    with pytest.raises(BuildTimedOut, match=r"4 s.*build_seconds of source small.*slow-1\.0\.drv"):
        await door.realise(slow)

    assert any("slow begins" in line for line in door.heard)
    await wait_for_builders(slow)


async def test_a_build_without_waiting_callers_ends(builds: Door) -> None:
    slow = await builds.package("slow")
    task = asyncio.create_task(builds.realise(slow))
    await until(lambda: any("slow begins" in line for line in builds.heard))

    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    await wait_for_builders(slow)


async def test_a_source_that_may_not_build_lists_what_is_missing(
    make_door: MakeDoor, salted: Path
) -> None:
    door = make_door(location=salted, build=False)
    tree = await door.package("tree")

    with pytest.raises(PolicyRefused, match=r"build = false\); not there: tree-1\.0"):
        await door.realise(tree)

    assert not Path(str(tree.path)).exists()


async def test_a_source_that_may_not_build_serves_valid_paths(
    make_door: MakeDoor, salted: Path
) -> None:
    await (built := make_door(location=salted)).realise(await built.package("leaf"))
    door = make_door(location=salted, build=False)

    await door.realise(await door.package("leaf"))


async def test_a_build_for_another_machine_is_named_in_the_error(builds: Door) -> None:
    far = await builds.package("far")

    with pytest.raises(BuildFailed, match=r"far-1\.0\.drv can only be built on m68k-linux"):
        await builds.realise(far)


async def test_a_path_the_derivation_does_not_make_is_refused_before_anything_is_built(
    builds: Door,
) -> None:
    with pytest.raises(
        EvaluationFailed, match=r"^liar: its outPath is not an output of its derivation$"
    ):
        await builds.package("liar")


async def test_a_path_that_was_not_made_is_refused_after_the_build(builds: Door) -> None:
    leaf, tree = await builds.packages("leaf", "tree")

    with pytest.raises(BuildFailed, match="has no output out at"):
        await builds.realise(replace(leaf, path=tree.path))


async def test_paths_are_roots_while_they_are_held_and_not_longer(builds: Door) -> None:
    tree = await builds.package("tree")
    async with builds.nix.temporary_roots() as roots:
        await builds.evaluator.realise(
            await builds.pinned(), {"tree": tree}, roots=roots, on_line=builds.heard.append
        )

        assert str(tree.path) in store("--roots", str(tree.path))

    assert store("--roots", str(tree.path)) == ""


async def test_a_derivation_lost_to_garbage_collection_is_evaluated_again(builds: Door) -> None:
    leaf = await builds.package("leaf")
    await builds.nix.close()  # an evaluator keeps what it has written
    subprocess.run(
        ["nix-store", "--delete", str(leaf.derivation)],
        check=True,
        capture_output=True,
    )

    await builds.realise(leaf)

    assert Path(str(leaf.path)).exists()


def store(question: str, path: str) -> str:
    done = subprocess.run(
        ["nix-store", "--query", question, path], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


async def wait_for_builders(package: Found) -> None:
    """Return when no process of the package's builder is left."""
    marker = str(package.path).encode()
    await until(lambda: not any(marker in environment for environment in environments()))


def environments() -> list[bytes]:
    found = []
    for process in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            found.append(process.read_bytes())
    return found
