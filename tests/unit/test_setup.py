"""What ``scripts/setup.py`` installs."""

import sys
from pathlib import Path

import pytest

from scripts import setup


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has only the programs in this directory."""
    monkeypatch.setattr(setup, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(setup, "find_uv", lambda: "true")
    monkeypatch.setattr(setup, "run", lambda *_: None)
    return tmp_path


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        (("dockerd", "docker"), [[]]),
        (("dockerd",), [["docker-cli"], ["docker-buildx"]]),
        (("dockerd", "docker", "list"), [[], ["docker-buildx"]]),
        (("dockerd", "docker", "list", "buildx"), [[], []]),
    ],
)
def test_a_program_in_a_package_of_its_own_is_installed_too(
    machine: Path, monkeypatch: pytest.MonkeyPatch, has: tuple[str, ...], expected: list[list[str]]
) -> None:
    """Debian 12 has docker and BuildKit's client in docker.io, Debian 13 in two more packages."""
    installed: list[list[str]] = []

    def install(packages: list[str]) -> None:
        installed.append(packages)
        if "docker.io" in packages:
            for program in has:
                (machine / program).touch()
        if "docker-cli" in packages:
            (machine / "list").touch()

    monkeypatch.setattr(setup, "install_debian", install)
    monkeypatch.setattr(setup, "DOCKER_CLI", machine / "list")
    monkeypatch.setattr(setup, "BUILDX", {str(machine / "buildx"): "docker-buildx"})
    monkeypatch.setattr(sys, "argv", ["setup.py", "test"])

    setup.main()

    assert "docker.io" in installed[0]
    assert installed[1:] == expected
