"""An image mounted at /nix of containers that were made from something else."""

import tarfile
from pathlib import Path

import pytest

from tests.e2e.clients import Docker, Skopeo, pull
from tests.e2e.releases import unpack
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

SMALL = ("bash", "coreutils", "git", "htop", "jq", "curl", "perl", "python3")
# The others of the full matrix, by package.
OTHERS = {
    "diffutils": "diff", "findutils": "find", "gawk": "gawk", "gnugrep": "grep", "gnused": "sed",
    "gnutar": "tar", "gzip": "gzip", "less": "less", "nano": "nano", "procps": "ps",
    "sqlite": "sqlite3", "strace": "strace", "tree": "tree", "xz": "xz",
}  # fmt: skip
INSIDE = """
set -e
test "$(id -u)" = 65532
/nix/bin/git init -q /tmp/repository && /nix/bin/git -C /tmp/repository status --short
/nix/bin/perl -MJSON::PP -e 'print "perl\\n"'
/nix/bin/python3 -c 'import json, ssl, sqlite3; print("python")'
/nix/bin/bash -c 'echo bash $(echo "[1]" | /nix/bin/jq .[0]) $(PATH=/nix/bin; ls -d /tmp)'
/nix/bin/curl --version | head -c 4; echo
/nix/bin/htop --version | head -n 1
"""


def base_of(directory: Path, name: str) -> Path:
    """Return a tar of a root with busybox, and the files of a distribution for another libc."""
    root = directory / name
    if name == "musl":
        unpack("bookworm", lambda _: ["musl"], root)
    elif name == "older-debian":
        unpack("bullseye", lambda _: ["libc6", "libgcc-s1", "libcrypt1", "dash"], root)
    else:
        root.mkdir()
    (root / "bin").mkdir(exist_ok=True)
    with tarfile.open(directory / f"{name}.tar", "w") as archive:
        archive.add(root, arcname=".")
        archive.add("/bin/busybox", arcname="busybox/sh")
        for applet in ("id", "test", "head", "cat", "grep"):
            link = tarfile.TarInfo(f"busybox/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "sh"
            archive.addfile(link)
        for place in ("nix", "tmp"):
            directory_of = tarfile.TarInfo(place)
            directory_of.type, directory_of.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(directory_of)
    return directory / f"{name}.tar"


@pytest.fixture(scope="module")
def image(server: Server, skopeo: Skopeo) -> Path:
    """The unpacked root of an image, which runtimes mount as they do a directory."""
    name = f"{server.address}/{'/'.join(SMALL)}:latest"
    pull(skopeo, name)
    return skopeo.unpacked(name)


@pytest.mark.parametrize("subpath", ["nix", "."])
@pytest.mark.parametrize("base", ["scratch", "musl", "older-debian"])
def test_programs_run_in_foreign_containers(
    image: Path, docker: Docker, tmp_path: Path, base: str, subpath: str
) -> None:
    tag = f"foreign-{base}"
    docker.call("import", str(base_of(tmp_path, base)), tag)

    output = docker.run_as(
        [f"--volume={image / subpath}:/nix:ro", "--read-only", "--tmpfs=/tmp", "--user=65532",
         "--cap-drop=ALL", "--env=PATH=/busybox", "--env=HOME=/tmp"],
        tag, "/busybox/sh", "-c", INSIDE,
    ).splitlines()  # fmt: skip

    assert output == ["perl", "python", "bash 1 /tmp", "curl", "htop 3.2.2"]


def test_a_volume_takes_the_programs_of_an_image(
    server: Server, docker: Docker, tmp_path: Path
) -> None:
    name = f"{server.address}/shell/htop:latest"
    pull(docker, name)
    docker.call("import", str(base_of(tmp_path, "scratch")), "foreign-volume")

    docker.run_as(["--volume=tools:/nix"], name, "true")
    options = ["--volume=tools:/nix:ro", "--read-only", "--user=65532"]
    output = docker.run_as(options, "foreign-volume", "/nix/bin/htop", "--version")

    docker.call("volume", "rm", "tools")
    assert output.startswith("htop 3.2.2")


@pytest.mark.full
@pytest.mark.parametrize("base", ["scratch", "musl", "older-debian"])
def test_twenty_packages_run_in_foreign_containers(
    server: Server, skopeo: Skopeo, docker: Docker, tmp_path: Path, base: str
) -> None:
    name = f"{server.address}/{'/'.join((*SMALL, *OTHERS))}:latest"
    pull(skopeo, name)
    docker.call("import", str(base_of(tmp_path, base)), f"foreign-many-{base}")
    programs = " ".join(OTHERS.values())
    check = f"for program in {programs}; do /nix/bin/$program --version >/dev/null || exit 1; done"

    for subpath in ("nix", "."):
        output = docker.run_as(
            [f"--volume={skopeo.unpacked(name) / subpath}:/nix:ro", "--read-only", "--tmpfs=/tmp",
             "--user=65532", "--env=PATH=/busybox", "--env=HOME=/tmp"],
            f"foreign-many-{base}", "/busybox/sh", "-c", f"{INSIDE}{check}; echo all",
        )  # fmt: skip

        assert output.splitlines()[-1] == "all"
