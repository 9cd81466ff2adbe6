"""What the programs of a real server find in their environment."""

from pathlib import Path

import pytest

from tests.e2e.process import SYSTEM_PATH, program
from tests.e2e.server import ServerFactory
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

TOKEN = "ghp_0123456789abcdefghij"
CONFIG = f"access-tokens = github.com={TOKEN}\nwarn-dirty = false\n"
STRANGE = """{ system, ... }: {
  fine = derivation {
    name = "strange"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo > $out" ];
  };
}
"""


def writing_environments(directory: Path) -> Path:
    """Programs that write down what they see, then become the real ones."""
    directory.mkdir()
    for name in ("nix", "nix-instantiate", "nix-store", "git"):
        script = directory / name
        script.write_text(
            f'#!/bin/sh\nenv > {directory}/$$.{name}.env; echo "$*" > {directory}/$$.{name}.args\n'
            f'exec {program(name)} "$@"\n'
        )
        script.chmod(0o755)
    return directory


def seen(directory: Path, program: str, argument: str = "") -> list[str]:
    """The environments of a program's starts whose arguments hold a text."""
    return [
        file.with_suffix(".env").read_text()
        for file in directory.glob(f"*.{program}.args")
        if argument in file.read_text()
    ]


def test_tokens_are_where_a_trusted_source_is_evaluated_and_nowhere_else(
    packages: Path, tmp_path: Path, new_server: ServerFactory
) -> None:
    repository = Repository(tmp_path / "repository")
    repository.commit(STRANGE)
    settings = tmp_path / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "strange"\nkind = "git"\nlocation = "{repository.path}"\n'
        "trusted = false\nbuild = false\nsubstituters = []\n"
    )
    programs = writing_environments(tmp_path / "programs")
    server = new_server(
        packages,
        NIXERY_CONFIG=str(settings),
        PATH=f"{programs}:{SYSTEM_PATH}",
        NIX_CONFIG=CONFIG,
        GOOGLE_APPLICATION_CREDENTIALS="/run/secrets/google.json",
        GITHUB_TOKEN=TOKEN,
        HTTPS_PROXY="http://joe:hunter2@localhost:9",
        NO_PROXY="localhost",
    )

    assert server.digest("hello")
    assert server.get("/v2/strange/fine/manifests/latest").status_code in {403, 404}

    trusted, untrusted = (
        seen(programs, "nix", "repl"),
        seen(programs, "nix-instantiate", "restrict"),
    )
    store, git = seen(programs, "nix-store"), seen(programs, "git")
    assert all((trusted, untrusted, store, git))
    for environment in trusted:
        assert f"access-tokens = github.com={TOKEN}" in environment
    for environment in (*untrusted, *store, *git, *seen(programs, "nix", "path-info")):
        assert TOKEN not in environment
    for environment in (*untrusted, *store):
        assert "NIX_CONFIG=warn-dirty = false" in environment
    for environment in untrusted:
        assert "hunter2" not in environment
    for environment in git:
        assert "NIX_" not in environment
        assert "HTTPS_PROXY=http://joe:hunter2@localhost:9" in environment
    for environment in (file.read_text() for file in programs.glob("*.env")):
        assert "google.json" not in environment
        assert "GITHUB_TOKEN" not in environment
    for arguments in (file.read_text() for file in programs.glob("*.args")):
        assert TOKEN not in arguments
        assert "hunter2" not in arguments
