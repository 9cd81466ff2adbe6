"""Debian 13 as a newcomer has it: its Python, its Nix, and a clone of this tree."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.debian import Debian, bootstrap
from tests.e2e.process import succeed
from tests.e2e.server import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.full]

CLONE = "/root/nixery"
# What README asks for; git is how the clone came there.
PACKAGES = ("git", "make", "python3")
AS_AUTHOR = ("-c", "user.name=author", "-c", "user.email=author@localhost")


@pytest.fixture(scope="module")
def trixie(tmp_path_factory: pytest.TempPathFactory) -> Debian:
    """With a copy of the files that git tracks, as they are now."""
    debian = bootstrap("trixie", PACKAGES, tmp_path_factory.mktemp("trixie") / "root")
    tracked = succeed("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "-z")
    listed = succeed("git", "-C", str(ROOT), "ls-files", "--others", "--ignored",
                     "--exclude-standard", "-z")  # fmt: skip
    for name in set(tracked.split("\0")) - set(listed.split("\0")) - {""}:
        target = debian.root / CLONE.lstrip("/") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    git = ("git", "-C", str(debian.root / CLONE.lstrip("/")))
    succeed(*git, "init", "--quiet")
    # Tests of what is packaged compare it with the tracked files.
    succeed(*git, "add", "--all")
    succeed(*git, *AS_AUTHOR, "commit", "--quiet", "--message=tree")
    return debian


def test_checks_and_tests_without_nix_pass(trixie: Debian) -> None:
    assert "3.13" in trixie.run("python3", "--version", directory=CLONE, timeout=60)

    trixie.run("make", "lint", directory=CLONE, timeout=1800)
    output = trixie.run("make", "unit", directory=CLONE, timeout=3600)

    assert " passed" in output
    assert " failed" not in output


def test_the_demo_pulls_and_runs_at_the_first_try(trixie: Debian) -> None:
    output = trixie.run("make", "demo-once", directory=CLONE, timeout=3600)

    assert "git version 2.4" in output
    assert "2.26" in trixie.run("nix", "--version", directory=CLONE, timeout=60)


def test_an_installed_server_prepares_the_packages(trixie: Debian) -> None:
    """The committed locks are of Debian 12, so the packages are resolved for this release."""
    nixery = f"{CLONE}/.venv/bin/nixery"

    prepared = Path(trixie.run(nixery, "prepare", directory="/root", timeout=600).strip())

    assert (trixie.root / prepared.relative_to("/") / "default.nix").is_file()


def test_every_test_with_nix_and_clients_passes(trixie: Debian) -> None:
    """The last command of `make test`; the ones before it are the first test's."""
    trixie.run("python3", "scripts/setup.py", "test", directory=CLONE, timeout=3600)

    # With CI a test that skips is a failure.
    pytest = ("env", "CI=true", ".venv/bin/python", "-m", "pytest", "-q")
    parallel = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    chosen = ("-m", "(nix or e2e) and not full")
    output = trixie.run(*pytest, *parallel, *chosen, directory=CLONE, timeout=10800)

    assert " passed" in output
