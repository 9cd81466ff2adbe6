"""An image mounted at /nix of containers that were made from something else."""

import tarfile
from pathlib import Path

import pytest

from tests.e2e.clients import Docker, Podman, Skopeo, pull
from tests.e2e.releases import unpack
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e

# A check that each package works, which prints one line.
PACKAGES = {
    "bash": "bash -c 'echo $((6 * 7))'",
    "bzip2": "echo text | bzip2 | bzip2 -d",
    "coreutils": "ls -d /tmp",
    "curl": "curl --version | first",
    "diffutils": "diff /tmp/a /tmp/a && echo same",
    "findutils": "find /tmp -name a",
    "gawk": "gawk 'BEGIN { print 6 * 7 }'",
    "git": "git -C /tmp init -q work && git -C /tmp/work status --branch --short",
    "gnugrep": "echo text | grep -o ex",
    "gnused": "echo text | sed s/e/a/",
    "gnutar": "tar -C /tmp -cf - a | tar -tf -",
    "gzip": "echo text | gzip | gzip -d",
    "htop": "htop --version | first",
    "jq": "echo '[1]' | jq .[0]",
    "less": "less --version | first",
    "nano": "nano --version | first",
    "openssl": "openssl version | first",
    "perl": "perl -MJSON::PP -e 'print JSON::PP->new->encode([1])'",
    "procps": "ps -o comm= -p 1",
    "python3": "python3 -c 'import json, ssl, sqlite3, sys; print(sys.version_info.major)'",
    "sqlite": "sqlite3 :memory: 'select 6 * 7'",
    "strace": "strace --version | first",
    "tree": "tree --version | first",
    "xz": "echo text | xz | xz -d",
}
INSIDE = """
export PATH=/nix/bin HOME=/tmp
first() { read -r line; echo "${line%% *}"; }
echo text > /tmp/a
""" + "\n".join(
    f"if output=$({check}); then echo {package}: $output; else echo {package}: failed; fi"
    for package, check in PACKAGES.items()
)
RUN = ("/nix/bin/bash", "-c", INSIDE)
EXPECTED = {
    "bash": "42", "bzip2": "text", "coreutils": "/tmp", "curl": "curl", "diffutils": "same",
    "findutils": "/tmp/a", "gawk": "42", "git": "## No commits yet on master", "gnugrep": "ex",
    "gnused": "taxt", "gnutar": "a", "gzip": "text", "htop": "htop", "jq": "1", "less": "less",
    "nano": "GNU", "openssl": "OpenSSL", "perl": "[1]", "procps": "bash",
    "python3": "3", "sqlite": "42", "strace": "strace", "tree": "tree", "xz": "text",
}  # fmt: skip
NOT_ROOT = ("--user=65532", "--cap-drop=ALL", "--security-opt=no-new-privileges")
# Each base with options, and what of the image is mounted.
BASES = {
    "busybox": ("scratch", (), "nix"),
    "musl": ("musl", (), "nix"),
    "older-debian": ("older-debian", (), "nix"),
    "read-only": ("scratch", ("--read-only", "--tmpfs=/tmp"), "."),
    "not-root": ("musl", ("--read-only", "--tmpfs=/tmp", *NOT_ROOT), "."),
}


def base_of(directory: Path, name: str) -> Path:
    """Return a tar of a root with busybox, and the files of a distribution for another libc."""
    root = directory / name
    if root.exists():
        return directory / f"{name}.tar"
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
        for place in ("nix", "tmp"):
            directory_of = tarfile.TarInfo(place)
            directory_of.type, directory_of.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(directory_of)
    return directory / f"{name}.tar"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def name(server: Server, skopeo: Skopeo) -> str:
    image = f"{server.address}/{'/'.join(PACKAGES)}:latest"
    pull(skopeo, image)
    return image


@pytest.mark.parametrize("base", BASES)
def test_twenty_packages_work_in_foreign_containers(
    name: str, skopeo: Skopeo, docker: Docker, bases: Path, base: str
) -> None:
    root, options, subpath = BASES[base]
    docker.call("import", str(base_of(bases, root)), f"foreign-{base}")
    # The unpacked root of the image, which runtimes mount as they do a directory.
    mounted = f"--volume={skopeo.unpacked(name) / subpath}:/nix:ro"

    output = docker.run_as((mounted, *options), f"foreign-{base}", *RUN)

    found = dict(line.split(": ", 1) for line in output.splitlines())
    assert found == EXPECTED


def test_podman_mounts_an_image(server: Server, podman: Podman, bases: Path) -> None:
    name = f"{server.address}/git/coreutils:latest"
    pull(podman, name)
    podman.call("import", str(base_of(bases, "scratch")), "foreign")
    options = [f"--mount=type=image,source={name},destination=/nix", "--read-only", *NOT_ROOT]

    assert podman.run_as(options, "foreign", "/nix/bin/git", "--version").startswith("git version")
    assert podman.run_as(options, "foreign", "/nix/bin/id", "-u") == "65532\n"


def test_builds_mount_and_copy_images(
    server: Server, docker: Docker, bases: Path, tmp_path: Path
) -> None:
    name = f"{server.address}/git/coreutils:latest"
    docker.call("import", str(base_of(bases, "scratch")), "foreign-build")
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(
        "FROM foreign-build\n"
        f'RUN --mount=from={name},source=/nix,target=/nix ["/nix/bin/git", "init", "/repository"]\n'
        f"COPY --from={name} /nix /nix\n"
        'RUN ["/nix/bin/git", "-C", "/repository", "status"]\n'
    )

    docker.build(tmp_path / "context", "foreign-built", buildkit=True)

    assert docker.run("foreign-built", "/nix/bin/ls", "-A", "/repository") == ".git\n"


def test_a_volume_takes_the_programs_of_an_image(
    server: Server, docker: Docker, bases: Path
) -> None:
    name = f"{server.address}/shell/htop:latest"
    pull(docker, name)
    docker.call("import", str(base_of(bases, "scratch")), "foreign-volume")

    docker.run_as(["--volume=tools:/nix"], name, "true")
    options = ["--volume=tools:/nix:ro", "--read-only", "--user=65532"]
    output = docker.run_as(options, "foreign-volume", "/nix/bin/htop", "--version")

    docker.call("volume", "rm", "tools")
    assert output.startswith("htop 3.")
