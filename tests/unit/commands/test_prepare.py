"""``nixery prepare``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.commands import cli
from app.commands.prepare import generator
from app.settings.expressions import EMBEDDED_PACKAGES


@pytest.mark.parametrize(
    ("arguments", "options"), [([], []), (["--full"], ["--full"]), (["--json"], ["--json"])]
)
def test_command_executes_the_generator_of_the_installed_expressions(
    arguments: list[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, argv: executed.append(argv))

    cli.run(["prepare", *arguments], serve=lambda: None)

    generate = str(EMBEDDED_PACKAGES / "generate.py")
    assert executed == [[sys.executable, generate, "prepare", *options]]


@pytest.mark.slow
def test_generator_needs_no_third_party_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", *generator(["--help"])[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "--full" in done.stdout
