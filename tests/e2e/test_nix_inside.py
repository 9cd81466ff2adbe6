"""Nix in an image knows the image's paths."""

import pytest

from tests.e2e.clients import Docker, pull
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

# One script for many assertions, since each start of a container costs a second.
QUERIES = """
set -e
profile() { nix-env --query | grep -Eo '^(hello|nix-bin)' | tr '\\n' ' '; }
echo profile: $(profile)
program=$(readlink -f /bin/hello)
path=${program%/bin/hello}
echo hello needs: $(nix-store --query --requisites /bin/hello | grep -Eo 'glibc|hello')
test $(nix-store --query --size $path) = $(nix-store --dump $path | wc -c) && echo its size
nix-store --verify --check-contents 2>&1 | tail -1
nix store verify --all 2>/dev/null && echo verified
nix store ls $path/bin 2>/dev/null
echo unknown: $(comm -3 <(nix path-info --all 2>/dev/null | sort) <(ls -d /nix/store/* | sort))
echo garbage: $(nix-store --gc --print-dead 2>/dev/null)
"""
# Nix ends a build when its builder closes its output, as coreutils' programs do before they exit:
# so the shell is the last.
BUILDS = """
cat > one.nix <<'END'
{ needs ? null }: derivation {
  name = "made"; system = builtins.currentSystem; builder = "/bin/bash"; inherit needs;
  args = [ "-c" "/bin/mkdir -p $out/bin; echo '#!/bin/sh' > $out/bin/made; echo echo made >> $out/bin/made; echo : $needs >> $out/bin/made; /bin/chmod +x $out/bin/made; :" ];
}
END
echo 'import ./one.nix { needs = "${import ./one.nix { }}"; }' > two.nix
nix-build two.nix 2>&1 | grep -c build-remote || true
result/bin/made
echo references: $(nix-store --query --references result | wc -l)
nix-shell one.nix --run 'echo in a shell of $name' 2>/dev/null
nix-env --install ./result 2>/dev/null && made && nix-env --query | grep made
nix-env --uninstall made 2>/dev/null && profile
nix shell ./result --command made 2>/dev/null
nix build --file one.nix --out-link other 2>/dev/null && other/bin/made
nix profile install --profile ./mine ./result 2>/dev/null && mine/bin/made
"""
CHANGES = """
rm -f result* other* mine*
nix-collect-garbage --delete-old >/dev/null 2>&1
ls -d /nix/store/*-made 2>/dev/null | wc -l
hello
"""


def test_nix_in_an_image_queries_builds_installs_and_collects_garbage(
    server: Server, docker: Docker
) -> None:
    packages = "nix/hello/bashinteractive/coreutils/gnugrep/findutils"

    def run(name: str, script: str) -> list[str]:
        image = f"{server.address}/{name}:latest"
        pull(docker, image)
        return docker.run_as(
            ("--workdir=/tmp", "--env=NIX_CONFIG=substituters ="), image, "bash", "-c", script
        ).splitlines()

    queried = run(f"nonroot/{packages}", QUERIES)
    changed = run(packages, QUERIES + BUILDS + CHANGES)

    # As another user than root as well, with that user's own state.
    assert queried == changed[: len(queried)]
    assert queried == [
        "profile: hello nix-bin",
        "hello needs: glibc hello",
        "its size",
        "checking store hashes...",
        "verified",
        "./hello",
        "unknown:",
        "garbage:",
    ]
    assert changed[len(queried) :] == [
        "0",
        "made",
        "references: 1",
        "in a shell of made",
        "made",
        "made",
        "hello nix-bin made",
        "made",
        "made",
        "0",
        "Hello, world!",
    ]


@pytest.mark.parametrize("name", ["nix", "nonroot/nix"])
def test_a_volume_at_nix_lets_nix_work_on_a_read_only_root(
    server: Server, docker: Docker, name: str
) -> None:
    image = f"{server.address}/{name}/bash/coreutils:latest"
    pull(docker, image)
    query = (image, "bash", "-c", "nix-store --verify 2>&1; nix-store --query --size /bin/bash")
    volume = f"--volume={name.replace('/', '-')}:/nix"

    alone = docker.run_as(["--read-only"], image, "bash", "-c", "nix-store --verify 2>&1 || true")
    *_, size = docker.run_as(["--read-only", "--tmpfs=/tmp", volume], *query).splitlines()

    docker.call("volume", "rm", name.replace("/", "-"))
    assert alone.startswith("error: ")
    assert int(size) > 1_000_000
