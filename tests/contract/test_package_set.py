"""The Debian package set, built for real: its programs run, and it is what its page describes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nix.debian.builder.elf import NotElf, read_elf
from nix.debian.generator.lock import Lock, read_lock
from nix.debian.generator.setdir import SetDirectory
from nix.debian.generator.storepath import STORE
from tests.contract.isolation import run_isolated
from tests.contract.programs import COMPANIONS, SMALL
from tests.contract.stores import build, closure, evaluate, nix, prepare

pytestmark = pytest.mark.e2e

AARCH64 = 183


@pytest.fixture(scope="module")
def small() -> Path:
    return prepare()


@pytest.fixture(scope="module")
def lock(small: Path) -> Lock:
    return read_lock(SetDirectory(small).lock("x86_64-linux"))


@pytest.mark.parametrize("attribute", sorted(SMALL))
def test_a_program_runs_where_nothing_but_its_closure_is(small: Path, attribute: str) -> None:
    command, expected = SMALL[attribute]
    packages = build(small, dict.fromkeys((attribute, *COMPANIONS)))
    outcome = run_isolated(packages, closure(packages), command)
    assert outcome.status == 0, outcome.output
    assert expected in outcome.output


def test_every_attribute_has_a_program_that_is_run_or_is_a_library(lock: Lock) -> None:
    covered = {lock.attributes[attribute] for attribute in SMALL} | {"bash"}
    assert set(lock.attributes.values()) - covered == {"zlib1g", "libx11-6"}


def test_the_prepared_directory_is_printed_as_json(small: Path) -> None:
    command = (sys.executable, "-m", "app", "prepare", "--json")
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert json.loads(done.stdout) == {
        "directory": str(small),
        "set": "small",
        "systems": ["x86_64-linux", "aarch64-linux"],
    }


def test_preparing_what_is_ready_does_nothing_again(
    small: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert prepare() == small

    # It reports what it resolves, downloads and builds.
    reported = capfd.readouterr().err
    assert "attributes," not in reported
    assert "resolving again" not in reported


def test_every_dependency_of_debians_is_a_reference(small: Path, lock: Lock) -> None:
    (git,) = build(small, ["git"])
    references = set(nix("nix-store", "-q", "--references", git).split())
    for unit in lock.units["git"].dependencies:
        (path,) = build(small, [f'debianPackages."{unit}"'])
        assert str(path) in references


def test_packages_are_described_as_in_nixpkgs(small: Path, lock: Lock) -> None:
    expression = f"""with import {small} {{ }}; map (p: [
        p.pname p.name p.outputs p.meta.mainProgram ]) [ git jq ]"""
    git, jq = lock.units["git"], lock.units["jq"]
    assert evaluate(expression) == [
        ["git", f"git-{git.version}", ["out", "man"], "git"],
        ["jq", f"jq-{jq.version}", ["bin", "man"], "jq"],
    ]
    assert "revision control" in git.description


def test_a_nested_name_is_a_set_of_packages(small: Path) -> None:
    expression = f"""with import {small} {{ }};
        [ xorg.xev.type xorg.recurseForDerivations python3Packages.requests.pname _2ping.pname
          (git.outPath == gitMinimal.outPath) ]"""
    assert evaluate(expression) == ["derivation", True, "python3-requests", "2ping", True]


def test_expressions_build_with_it_as_with_nixpkgs(small: Path) -> None:
    expression = f"""
        with import {small} {{ overlays = [ (self: super: {{
          greeting = self.writeText "greeting" "${{super.hello.pname}} from an overlay"; }}) ]; }};
        runCommand "out" {{ buildInputs = [ jq openssl.out ]; }} ''
          mkdir $out
          echo '{{"a": 1}}' | jq -c .a > $out/jq
          openssl dgst -sha256 ${{greeting}} > $out/digest
          cp ${{greeting}} $out/greeting
          ls ${{symlinkJoin {{ name = "joined"; paths = [ hello tree ]; }}}}/bin > $out/joined
          ${{writeShellScriptBin "run" "echo script"}}/bin/run > $out/script
        ''"""
    out = Path(nix("nix-build", "--no-out-link", "-E", expression).strip())
    assert (out / "jq").read_text() == "1\n"
    assert (out / "greeting").read_text() == "hello from an overlay"
    assert (out / "joined").read_text() == "hello\ntree\n"
    assert (out / "script").read_text() == "script\n"
    assert "SHA2-256" in (out / "digest").read_text()


def test_the_set_is_only_for_the_system_of_its_lock(small: Path) -> None:
    lock = SetDirectory(small).lock("aarch64-linux")
    expression = f"(builtins.tryEval (import {small} {{ lock = {lock}; }}).hello.outPath).success"
    assert evaluate(expression) is False


def test_programs_for_arm_are_arms_through_and_through(small: Path) -> None:
    attributes = ["bash", "git", "python3", "htop", "curl", "perl"]
    packages = build(small, attributes, "aarch64-linux")
    paths = closure(packages)
    assert not set(paths) & set(closure(build(small, attributes))) - set(both_have(small))
    counted = 0
    for path in paths:
        for file in path.rglob("*"):
            if file.is_symlink() or not file.is_file():
                continue
            assert not is_elf(file, 62), file
            if is_elf(file, AARCH64):
                counted += 1
                elf = read_elf(file, AARCH64)
                assert (elf.interpreter or STORE).startswith(STORE), file
    assert counted > 300


def both_have(small: Path) -> tuple[Path, ...]:
    """Units made of nothing but packages for every machine may be the same for both."""
    return tuple(
        path
        for unit in ("cacert", "iana-etc")
        for system in ("x86_64-linux", "aarch64-linux")
        for path in build(small, [unit], system)
    )


def is_elf(file: Path, machine: int) -> bool:
    try:
        read_elf(file, machine)
    except NotElf:
        return False
    return True
