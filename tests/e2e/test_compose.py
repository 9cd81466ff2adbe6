"""The Dockerfile and the compose file of deploy/, built and run, with Caddy before the server.

The base images are made here under their names, since no registry is used: Debian's smallest system,
and the same with Debian's Caddy.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from tests.e2e.clients import Docker, Skopeo, pull
from tests.e2e.debian import bootstrap
from tests.e2e.ports import free_port
from tests.e2e.process import succeed
from tests.e2e.server import ROOT, Server
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.full]

COMPOSE = ROOT / "deploy" / "compose" / "compose.yaml"
CADDY = """\
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends caddy
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile"]
"""
# How pip reaches its index from here: as the machine's own does.
PIP_CONFIG = Path("/etc/pip.conf")


def build(docker: Docker, context: Path, tag: str, *options: str) -> None:
    command = (*docker.command, "build", "--network=host", f"--tag={tag}", *options, str(context))
    succeed(*command, timeout=1200, env={"DOCKER_BUILDKIT": "0"})


@pytest.fixture(scope="module")
def images(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Build nixery:local by deploy's Dockerfile, and caddy:2."""
    home = tmp_path_factory.mktemp("images")
    debian = bootstrap("trixie", (), home / "debian")
    if PIP_CONFIG.exists():
        (debian.root / "etc/pip.conf").write_text(PIP_CONFIG.read_text())
    archive = home / "debian.tar"
    succeed("tar", "--create", "--file", str(archive), "--directory", str(debian.root), ".")
    docker.call("import", str(archive), "debian:trixie-slim")
    caddy = home / "caddy"
    caddy.mkdir()
    (caddy / "Dockerfile").write_text(CADDY)
    build(docker, caddy, "caddy:2")
    context = home / "context"
    uv = ROOT / ".state" / "uv" / "bin" / "uv"
    out = str(context / "dist")
    succeed(str(uv), "build", "--wheel", "--out-dir", out, str(ROOT), timeout=300)
    dockerfile = f"--file={COMPOSE.parent / 'Dockerfile'}"
    build(docker, context, "nixery:local", dockerfile, "--build-arg=EXTRAS=gcs")


@contextmanager
def composed(docker: Docker, home: Path, packages: Path) -> Iterator[str]:
    """Start both services in the host's network, since this daemon has no other."""
    address, upstream = f"localhost:{free_port()}", f"127.0.0.1:{free_port()}"
    document = yaml.safe_load(COMPOSE.read_text())
    services = document["services"]
    for service in services.values():
        service["network_mode"] = "host"
    del services["caddy"]["ports"], services["nixery"]["build"]
    # Without TLS: no authority is reachable.
    services["caddy"]["environment"] = {"SITE": f"http://{address}", "UPSTREAM": upstream}
    variables = services["nixery"]["environment"]
    del variables["NIXERY_CHANNEL"]
    variables |= {
        "NIXERY_HOST": "127.0.0.1",
        "NIXERY_PORT": upstream.partition(":")[2],
        "NIXERY_PKGS_PATH": str(packages),
        "NIXERY_EXTERNAL_URL": f"http://{address}",
    }
    # The embedded set's packages are in this machine's store.
    services["nixery"]["volumes"] = ["storage:/srv/nixery", "state:/var/lib/nixery", "/nix:/nix"]
    services["nixery"]["volumes"].append(f"{packages}:{packages}:ro")
    file = home / "compose.yaml"
    file.write_text(yaml.safe_dump(document))
    host = docker.command[docker.command.index("--host") + 1]
    files = (f"--file={file}", f"--project-directory={COMPOSE.parent}")
    compose = ("docker-compose", "--host", host, "--project-name=whole", *files)
    succeed(*compose, "up", "--detach", "--no-build")
    try:
        wait_until(lambda: healthy(address))
        yield address
    finally:
        succeed(*compose, "down", "--volumes")


def healthy(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/healthz", timeout=10).is_success
    except httpx.TransportError:
        return False


@pytest.mark.usefixtures("images")
def test_clients_pull_through_the_services_of_the_compose_file(
    docker: Docker, skopeo: Skopeo, server: Server, packages: Path, tmp_path: Path
) -> None:
    with composed(docker, tmp_path, packages) as address:
        pull(skopeo, f"{address}/jq:latest")
        counted = skopeo.run(f"{address}/jq:latest", "jq", "-n", "40 + 2")
        served = httpx.get(f"http://{address}/v2/jq/manifests/latest", timeout=120)
        docker.call("exec", "whole_nixery_1", "nixery-health")
        library = "import google.cloud.storage"
        docker.call("exec", "whole_nixery_1", "/opt/nixery/bin/python", "-c", library)

    assert counted == "42\n"
    assert served.headers["Docker-Content-Digest"] == server.digest("jq")
