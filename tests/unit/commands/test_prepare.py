"""The command that makes the embedded packages ready."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.commands import cli
from app.commands.prepare import generator
from app.settings.expressions import EMBEDDED_PACKAGES


@pytest.mark.parametrize(("words", "options"), [([], []), (["--full"], ["--full"])])
def test_it_becomes_the_generator_of_the_installed_expressions(
    words: list[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: became.append(words))

    cli.run(["prepare", *words], serve=lambda: None)

    generate = str(EMBEDDED_PACKAGES / "generate.py")
    assert became == [[sys.executable, generate, "prepare", *options]]


def test_the_generator_needs_no_third_party_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", *generator(["--help"])[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "--full" in done.stdout
