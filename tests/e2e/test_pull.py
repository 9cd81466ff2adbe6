"""Images pulled by real clients, and programs run from them."""

import struct
from pathlib import Path

import pytest

from tests.e2e.clients import Client, Containerd, Docker, Podman, Skopeo, pull
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

SMALL_SET = "shell/git/htop/curl/jq/python3/nginx"
PROGRAMS = {
    ("git", "--version"): "git version",
    ("htop", "--version"): "htop",
    ("curl", "--version"): "curl",
    ("jq", "--version"): "jq-",
    ("python3", "-c", "import ssl, json, sqlite3; print('modules found')"): "modules found",
    ("bash", "-c", "nginx -v 2>&1"): "nginx version",
    ("bash", "-c", "ls -ld /tmp | cut -c-10; command -v nano"): "drwxrwxrwt\n/usr/bin/nano",
    ("/usr/bin/env", "bash", "-c", "[ -s $SSL_CERT_FILE ] && echo trusting"): "trusting",
}

FULL_SET = "shell/postgresql/nodejs/gcc"
FULL_PROGRAMS = {
    ("psql", "--version"): "psql (PostgreSQL)",
    ("node", "-e", "console.log('ran')"): "ran",
    ("gcc", "--version"): "x86_64-linux-gnu-gcc",
    (
        "bash",
        "-c",
        "echo 'int main() { return 42; }' | gcc -x c -o /tmp/a - ; /tmp/a; echo $?",
    ): "42",
}
EM_AARCH64 = 183


def test_programs_of_the_small_set_run_in_every_client(client: Client, server: Server) -> None:
    pull_and_run(client, f"{server.address}/{SMALL_SET}:latest", PROGRAMS)


@pytest.mark.full
def test_programs_of_the_full_set_run_in_every_client(client: Client, full_server: Server) -> None:
    pull_and_run(client, f"{full_server.address}/{FULL_SET}:latest", FULL_PROGRAMS)


def test_a_shell_image_starts_bash(docker: Docker, server: Server) -> None:
    image = f"{server.address}/shell:latest"
    pull(docker, image)

    assert docker.run(image) == ""  # bash without terminal or input ends at once, content


def test_arm64_images_hold_arm64_programs(server: Server, skopeo: Skopeo) -> None:
    pull(skopeo, f"{server.address}/arm64/jq:latest")

    root = skopeo.unpacked(f"{server.address}/arm64/jq:latest")

    programs = [*root.glob("nix/store/*-jq-*/bin/jq"), *root.glob("nix/store/*/lib/libc.so.6")]
    assert len(programs) == 2
    assert {elf_machine(program) for program in programs} == {EM_AARCH64}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("docker", ()),
        ("containerd", ("--plain-http", "--platform=linux/arm64")),
        ("podman", ("--tls-verify=false", "--arch=arm64")),
    ],
)
def test_every_engine_pulls_arm64(
    name: str, options: tuple[str, ...], server: Server, request: pytest.FixtureRequest
) -> None:
    client: Containerd | Docker | Podman = request.getfixturevalue(name)
    image = f"{server.address}/arm64/jq:latest"

    pull(client, image, *options)

    assert client.architecture(image) == "arm64"


@pytest.fixture(scope="module")
def full_server(full_packages: Path, module_server: ServerFactory) -> Server:
    return module_server(full_packages)


def pull_and_run(client: Client, image: str, programs: dict[tuple[str, ...], str]) -> None:
    pull(client, image, timeout=600)
    for command, beginning in programs.items():
        output = client.run(image, *command)
        assert output.startswith(beginning), (client.name, command, output)


def elf_machine(program: Path) -> int:
    """The e_machine field of an ELF header."""
    header = program.read_bytes()[:20]
    assert header.startswith(b"\x7fELF")
    machine: int = struct.unpack_from("<H", header, 18)[0]
    return machine
