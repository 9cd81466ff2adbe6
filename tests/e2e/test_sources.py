"""Git repositories and flakes, from the tag to the package, with real Nix."""

import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app.builder.evaluation.evaluator import opened
from app.errors import (
    EvaluationFailed,
    PackagesUnknown,
    PolicyRefused,
    SourceUnavailable,
    TagUnknown,
)
from tests.e2e.door import SYSTEM, MakeDoor, doors
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

SET = """
{ system, ... }: {
  tool = derivation {
    name = "tool-VERSION"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo > $out" ];
  };
}
"""

FLAKE = f"""
{{
  outputs = {{ self }}: {{
    packages.{SYSTEM} = {{
      tool = derivation {{
        name = "tool-VERSION"; system = "{SYSTEM}"; builder = "/bin/sh"; script = ./script;
        args = [ "-c" "echo > $out" ];
      }};
      unfree = self.packages.{SYSTEM}.tool // {{ meta.license.free = false; }};
      user = derivation {{
        name = "user"; system = "{SYSTEM}"; builder = "/bin/sh";
        uses = self.packages.{SYSTEM}.unfree;
      }};
    }};
    legacyPackages.{SYSTEM} = {{
      old.Tool = derivation {{ name = "old"; system = "{SYSTEM}"; builder = "/bin/sh"; }};
    }};
  }};
}}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
async def make_door(tmp_path: Path, repository: Repository) -> AsyncIterator[MakeDoor]:
    async with doors() as make:
        yield partial(make, tmp_path / "state", location=repository.url)


async def test_the_tag_chooses_the_revision_that_is_evaluated(
    repository: Repository, make_door: MakeDoor
) -> None:
    first = repository.commit(SET.replace("VERSION", "1"))
    repository.git("tag", "v1")
    repository.commit(SET.replace("VERSION", "2"))
    git = make_door(kind="git")

    for tag, version in (("latest", "2"), ("v1", "1"), (first, "1"), (first[:8], "1")):
        tool = await git.package("tool", tag=tag)
        await git.realise(tool)
        assert tool.version == version
    with pytest.raises(TagUnknown, match="it has latest, main, v1"):
        await git.package("tool", tag="v3")


async def test_one_commit_is_evaluated_once_whatever_the_tag_that_led_to_it(
    repository: Repository, make_door: MakeDoor
) -> None:
    commit = repository.commit(SET)
    repository.git("tag", "v1")
    git = make_door(kind="git")

    for tag in ("latest", "main", "v1", commit, commit[:10]):
        await git.package("tool", tag=tag)

    assert len(git.nix.asked) == 1


async def test_the_place_of_the_repository_is_in_no_derivation(
    repository: Repository, make_door: MakeDoor, tmp_path: Path
) -> None:
    repository.commit("{ system, ... }@a: import ./tool.nix a", "default.nix")
    (repository.path / "script").write_text("echo hello")
    repository.commit(SET.replace("builder", "script = ./script; builder"), "tool.nix")

    tool = await make_door(kind="git").package("tool")

    assert str(tmp_path) not in Path(str(tool.derivation)).read_text()


@pytest.mark.parametrize(
    "text",
    ["import ./vendor/set", "args: { tool = import ./vendor/set/tool.nix args; }"],
)
async def test_a_file_missing_in_a_submodule_is_explained(
    repository: Repository, make_door: MakeDoor, tmp_path: Path, text: str
) -> None:
    other = Repository(tmp_path / "other")
    other.commit(SET)
    allowed = ("-c", "protocol.file.allow=always")
    repository.git(*allowed, "submodule", "--quiet", "add", other.url, "vendor/set")
    repository.commit(text)

    with pytest.raises(
        EvaluationFailed,
        match=r"(No such file|does not exist).* \(submodules are not fetched: vendor/set\)",
    ):
        await make_door(kind="git").package("tool")


# ---- flakes


async def test_a_flakes_packages_and_legacy_packages_are_found(
    repository: Repository, make_door: MakeDoor
) -> None:
    (repository.path / "script").write_text("echo hello")
    first = repository.commit(FLAKE.replace("VERSION", "1"), "flake.nix")
    repository.commit(FLAKE.replace("VERSION", "2"), "flake.nix")
    flake = make_door(kind="flake")

    tool, old = await flake.packages("tool", "old.tool")
    earlier = await flake.package("tool", tag=first[:12])
    await flake.realise(tool)

    assert (tool.version, old.attribute, earlier.version) == ("2", "old.Tool", "1")


async def test_policies_look_at_a_flakes_packages_and_not_at_what_these_depend_on(
    repository: Repository, make_door: MakeDoor
) -> None:
    (repository.path / "script").write_text("echo hello")
    repository.commit(FLAKE, "flake.nix")
    flake = make_door(kind="flake")

    with pytest.raises(PolicyRefused, match="allow_unfree"):
        await flake.package("unfree")
    assert (await flake.package("user")).name == "user"


# ---- evaluators that stay


@pytest.mark.parametrize(("kind", "second"), [("git", "other"), ("flake", "old.tool")])
async def test_new_names_of_a_commit_are_evaluated_in_one_process(
    repository: Repository, make_door: MakeDoor, kind: str, second: str
) -> None:
    (repository.path / "script").write_text("echo hello")
    repository.commit(FLAKE.replace("VERSION", "1"), "flake.nix")
    repository.commit(SET.replace(": {", ": rec {").replace("};\n}", "};\n  other = tool;\n}"))
    door = make_door(kind=kind)

    answers = tuple([await door.package(name) for name in ("tool", second)])

    ready = {"add": 1, "inputs": 1} if kind == "flake" else {}
    assert door.nix.starts == Counter(evaluator=1, **ready)
    async with opened(await door.pinned()) as evaluation:
        alone = replace(evaluation, revision=None)
        assert answers == await door.nix.evaluate(alone, ["tool", second])
    assert door.nix.starts == Counter(evaluator=1, evaluate=1, **ready)


async def test_another_commit_has_another_evaluator(
    repository: Repository, make_door: MakeDoor
) -> None:
    first = repository.commit(SET.replace("VERSION", "1"))
    second = repository.commit(SET.replace("VERSION", "2"))
    git = make_door(kind="git")

    versions = [(await git.package("tool", tag=tag)).version for tag in (first, second)]
    for tag in (first, second, first):
        with pytest.raises(PackagesUnknown):
            await git.package(f"not-in-{tag}", tag=tag)

    assert versions == ["1", "2"]
    assert git.nix.starts == Counter(evaluator=2)


# ---- a full disk


@pytest.fixture(params=["trees", "git"])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where trees are unpacked, or repositories are kept, there is little room."""
    disk = tmp_path / "state" / str(request.param)
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


async def test_a_full_disk_for_the_files_is_reported_and_recovers_with_space(
    repository: Repository, make_door: MakeDoor, small_disk: Path
) -> None:
    (repository.path / "large").write_bytes(random.randbytes(1024 * 1024))
    repository.commit(SET)
    git = make_door(kind="git")

    with pytest.raises(SourceUnavailable, match="state directory is full; its operator has to"):
        await git.package("tool")

    used = sum(file.stat().st_size for file in small_disk.rglob("*") if file.is_file())
    assert used < 64 * 1024
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    assert (await git.package("tool")).name == "tool-VERSION"
