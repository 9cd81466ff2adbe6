"""A source that is untrusted and may build needs Nix's sandbox, or a setting that does without."""

from pathlib import Path

import pytest

from tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.e2e

PACKAGES = ROOT / "tests" / "nix" / "small" / "image.nix"


def server_of(home: Path, source: str, sandbox: str) -> Server:
    settings = home / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "strange"\nkind = "path"\nlocation = "{PACKAGES}"\n'
        f"trusted = false\n{source}\n"
    )
    return Server(
        home / "server",
        PACKAGES,
        NIXERY_CONFIG=str(settings),
        NIX_CONFIG=f"sandbox = {sandbox}",
    )


@pytest.mark.parametrize("sandbox", ["false", "relaxed"])
def test_without_a_sandbox_the_server_does_not_start(tmp_path: Path, sandbox: str) -> None:
    done = server_of(tmp_path, "", sandbox).command("serve")

    assert done.returncode == 3, done.stderr
    assert "source strange is untrusted and may build" in done.stderr
    assert "build_unsandboxed = true" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("source", "sandbox"),
    [("", "true"), ("build = false", "false"), ("build_unsandboxed = true", "false")],
)
def test_the_server_starts_if_nothing_is_built_outside_the_sandbox_or_the_source_allows_it(
    tmp_path: Path, source: str, sandbox: str
) -> None:
    server = server_of(tmp_path, source, sandbox)

    server.start()

    server.stop()
