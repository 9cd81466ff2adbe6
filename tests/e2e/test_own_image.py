"""The server runs from the image that it builds of itself, and serves from there."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from tests.e2e.clients import LIMITS, Docker, Podman, Skopeo, pull
from tests.e2e.ports import free_port
from tests.e2e.process import Process, succeed
from tests.e2e.server import ROOT, Server, ServerFactory
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.full]

# The server, packages for it to serve, and what builds of mounted sources need; the server brings
# its shell itself.
NAME = "nixery/bzip2/diffutils/findutils/gawk/gnugrep/gnused/gnutar/gzip/jq/xz"
COMPOSE = ROOT / "deploy" / "compose" / "compose.yaml"
SERVICE = "under-test_nixery_1"
HARDENED = ("--network=host", "--cap-drop=ALL", "--security-opt=no-new-privileges")
MOUNTED = """\
{ ... }@arguments:
let set = import /share/nixery/packages arguments; in
set // { greeting = set.writeShellScriptBin "greet" "echo hello from a mounted source"; }
"""
# No binary cache: these tests need no network.
SETTINGS = """\
[[sources]]
name = "team"
kind = "path"
location = "/packages"
default = true
substituters = []

# Evaluated without derivation files, in a process that a shell starts.
[[sources]]
name = "cached"
kind = "path"
location = "/packages"
build = false
substituters = []
"""


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, packages: Path, module_server: ServerFactory
) -> Path:
    """The image in a file, by the command line of a server that has the set with itself."""
    made = succeed(sys.executable, "-m", "scripts.server_set", timeout=600).strip()
    server = module_server(Path(made))
    file = tmp_path_factory.mktemp("own") / "image.tar"
    done = server.command("build", NAME, "--output", str(file), "--json")
    assert done.returncode == 0, done.stderr
    return file


@contextmanager
def container(
    engine: Docker | Podman, home: Path, image: str, *options: str, **variables: str
) -> Iterator[str]:
    """Run the image's own command; yields the address when the server responds."""
    address = f"localhost:{free_port()}"
    variables |= {"NIXERY_PORT": address.partition(":")[2], "NIXERY_HOST": "127.0.0.1"}
    settings = [f"--env={name}={value}" for name, value in variables.items()]
    command = (
        *engine.command,
        "run",
        "--rm",
        "--name=nixery",
        *HARDENED,
        *options,
        *settings,
        image,
    )
    process = Process(command, log=home / "log")
    process.wait_until(lambda: started(address))
    try:
        yield address
    finally:
        process.stop()


@contextmanager
def composed(docker: Docker, home: Path, image: str) -> Iterator[str]:
    """Start the service of the compose file, without Caddy, whose image no registry here has."""
    address = f"localhost:{free_port()}"
    document = yaml.safe_load(COMPOSE.read_text())
    service = document["services"]["nixery"]
    service |= {"image": image, "network_mode": "host"}
    variables = service["environment"]
    variables |= {"NIXERY_HOST": "127.0.0.1", "NIXERY_PORT": address.partition(":")[2]}
    # The name of a source is in the labels: the server outside has its default source by a path.
    del variables["NIXERY_CHANNEL"]
    variables["NIXERY_PKGS_PATH"] = "/share/nixery/packages"
    file = home / "compose.yaml"
    file.write_text(yaml.safe_dump(document))
    files = (f"--file={file}", f"--project-directory={COMPOSE.parent}")
    host = docker.command[docker.command.index("--host") + 1]
    compose = ("docker-compose", "--host", host, "--project-name=under-test", *files)
    succeed(*compose, "up", "--detach", "--no-build", "nixery")
    try:
        wait_until(lambda: started(address))
        yield address
    finally:
        succeed(*compose, "down")


def started(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/healthz", timeout=60).is_success
    except httpx.TransportError:
        return False


def digest(address: str, name: str) -> str:
    url = f"http://{address}/v2/{name}/manifests/latest"
    response = httpx.head(url, timeout=120, follow_redirects=True)
    assert response.status_code == 200
    return response.headers["docker-content-digest"]


def test_a_container_of_docker_serves_the_digests_of_a_server_outside(
    archive: Path, docker: Docker, skopeo: Skopeo, server: Server, tmp_path: Path
) -> None:
    docker.call("load", "--quiet", "--input", str(archive))
    image = f"{NAME}:latest"

    with composed(docker, tmp_path, image) as address:
        pull(skopeo, f"{address}/git/jq:latest")
        program = skopeo.run(f"{address}/git/jq:latest", "git", "--version")
        served = digest(address, "git/jq")
        pulled = docker.try_pull(f"{address}/jq:latest")
        counted = docker.run(f"{address}/jq:latest", "jq", "-n", "40 + 2")
        docker.call("exec", SERVICE, "nixery-health")
        docker.call("exec", SERVICE, "nix-store", "--verify")
        described = json.loads(docker.call("inspect", "--format={{json .Config}}", SERVICE))
    # Its storage survives, and a stored image needs no Nix.
    with composed(docker, tmp_path, image) as address:
        again = digest(address, "git/jq")

    assert program.startswith("git version")
    assert pulled.returncode == 0, pulled.stderr
    assert counted == "42\n"
    assert served == again == server.digest("git/jq")
    assert described["Cmd"] == ["nixery"]
    assert described["Healthcheck"]["Test"] == ["CMD", "nixery-health"]


def _write_source(directory: Path) -> None:
    source = directory / "source"
    source.mkdir()
    (source / "default.nix").write_text(MOUNTED)
    (source / "nixery.toml").write_text(SETTINGS)


def test_a_container_without_root_builds_on_a_read_only_root(
    archive: Path, docker: Docker, skopeo: Skopeo, tmp_path: Path
) -> None:
    docker.call("load", "--quiet", "--input", str(archive))
    _write_source(tmp_path)
    image = f"{NAME}:latest"
    volumes = ("--volume=nix:/nix", "--volume=data:/data")
    docker.run_as(volumes, image, "chown", "--recursive", "1000:1000", "/nix", "/data")
    options = (
        *("--user=1000:1000", "--read-only", "--tmpfs=/tmp", *volumes),
        f"--volume={tmp_path}/source:/packages:ro",
    )
    settings = {
        "NIXERY_CONFIG": "/packages/nixery.toml",
        "NIXERY_STORAGE_PATH": "/data/storage",
        "NIXERY_STATE_PATH": "/data/state",
        "NIX_CONFIG": f"extra-trusted-public-keys = cache.example.com-1:{'A' * 43}=",
    }

    with container(docker, tmp_path, image, *options, **settings) as address:
        pull(skopeo, f"{address}/bashinteractive/greeting:latest")
        greeting = skopeo.run(f"{address}/bashinteractive/greeting:latest", "greet")
        user = docker.call("exec", "nixery", "sh", "-c", "id -u; ! touch /etc/probe")

    assert greeting == "hello from a mounted source\n"
    assert user == "1000\n"


def test_a_container_of_podman_builds_packages_of_a_mounted_source(
    archive: Path, podman: Podman, skopeo: Skopeo, tmp_path: Path
) -> None:
    podman.call("load", "--quiet", "--input", str(archive))
    _write_source(tmp_path)
    image = f"localhost/{NAME}:latest"
    options = (*LIMITS, f"--volume={tmp_path}/source:/packages:ro")
    deployed = yaml.safe_load(COMPOSE.read_text())["services"]["nixery"]["environment"]
    settings = {"NIXERY_CONFIG": "/packages/nixery.toml", "NIX_CONFIG": deployed["NIX_CONFIG"]}

    with container(podman, tmp_path, image, *options, **settings) as address:
        cached = httpx.get(f"http://{address}/v2/cached/greeting/manifests/latest", timeout=120)
        pull(skopeo, f"{address}/bashinteractive/greeting:latest")
        greeting = skopeo.run(f"{address}/bashinteractive/greeting:latest", "greet")

    assert cached.status_code == 403
    assert "-greet" in cached.text
    assert greeting == "hello from a mounted source\n"
