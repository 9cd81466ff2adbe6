"""Targets of the Makefile, in a clone where nothing is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SETUP = {
    "unit": "dev",
    "coverage": "dev",
    "lint": "dev",
    "test": "test",
    "test-full": "full",
    "demo": "demo",
    "image": "demo",
    "book": "dev",
}


def commands(target: str, directory: Path) -> list[str]:
    """The commands of a target where PATH has make's own programs and no uv."""
    done = subprocess.run(
        ["make", "--dry-run", target],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(("target", "needs"), SETUP.items())
def test_a_target_first_installs_what_it_needs(target: str, needs: str, tmp_path: Path) -> None:
    shutil.copy(PROJECT / "Makefile", tmp_path)

    first, *others = commands(target, tmp_path)

    assert first == f"python3 scripts/setup.py {needs}"
    assert others
    for command in others:
        assert command.startswith((".venv/bin/", "sudo -E .venv/bin/")), command


def test_tests_are_preceded_by_all_checks() -> None:
    checks = commands("lint", PROJECT)[1:]

    assert len(checks) == 5
    for target in ("test", "test-full"):
        lines = commands(target, PROJECT)[1:]
        assert lines[: len(checks)] == checks
        assert "pytest" in lines[-1]


def test_every_test_is_run_by_one_of_two_commands() -> None:
    """The first command measures coverage; the second has the tests with Nix and clients."""
    covered, others = (line for line in commands("test-full", PROJECT) if " -m pytest " in line)

    assert '-m "not nix and not e2e and not full" --cov' in covered
    assert others.endswith('-m "nix or e2e or full"')


def test_each_bench_is_run_and_described() -> None:
    """Other files of the directory are modules of benches."""
    benches = {file.name for file in PROJECT.glob("bench/*.py") if "__main__" in file.read_text()}
    page = (PROJECT / "docs" / "development.md").read_text()
    left_out = re.findall(r"bench/(\w+\.py)", (PROJECT / "Makefile").read_text())

    assert {file.name for file in PROJECT.glob("bench/*.py")} - {*left_out} == benches
    assert set(re.findall(r"^\| `(\w+\.py)` \|", page, re.MULTILINE)) == benches
