"""Nix in an image knows the image's paths."""

from pathlib import Path

import pytest

from tests.e2e.clients import Docker, pull
from tests.e2e.server import ServerFactory

pytestmark = [pytest.mark.e2e, pytest.mark.full]

# One script for many assertions, since each start of a container costs a second.
QUERIES = """
set -e
profile() { nix-env --query | grep -Eo '^(hello|nix-bin)' | tr '\\n' ' '; }
echo profile: $(profile)
program=$(readlink -f /bin/hello)
path=${program%/bin/hello}
echo hello needs: $(nix-store --query --requisites /bin/hello | grep -Eo 'glibc|hello')
echo size: $(nix-store --query --size $path)
nix-store --verify --check-contents 2>&1 | tail -1
nix store verify --all 2>/dev/null && echo verified
nix store ls $path/bin 2>/dev/null
echo unknown: $(comm -3 <(nix path-info --all 2>/dev/null | sort) <(ls -d /nix/store/* | sort))
echo garbage: $(nix-store --gc --print-dead 2>/dev/null)
"""
CHANGES = """
nix-collect-garbage >/dev/null 2>&1
hello
"""


def test_nix_in_an_image_queries_verifies_and_collects_garbage(
    new_server: ServerFactory, full_packages: Path, docker: Docker
) -> None:
    server = new_server(full_packages)
    packages = "nix/hello/bashinteractive/coreutils/gnugrep/findutils"

    def run(name: str, script: str) -> list[str]:
        image = f"{server.address}/{name}:latest"
        pull(docker, image)
        return docker.run_as(("--workdir=/tmp",), image, "bash", "-c", script).splitlines()

    queried = run(f"nonroot/{packages}", QUERIES)
    changed = run(packages, QUERIES + CHANGES)

    # As another user than root as well, with that user's own state.
    assert queried == changed[: len(queried)]
    assert queried == [
        "profile: hello nix-bin",
        "hello needs: glibc hello",
        "size: 167112",
        "checking store hashes...",
        "verified",
        "./hello",
        "unknown:",
        "garbage:",
    ]
    assert changed[len(queried) :] == [
        "Hello, world!",
    ]
