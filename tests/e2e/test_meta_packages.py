"""Names that stand for packages, and services that a package set describes itself."""

from pathlib import Path

import pytest

from tests.e2e.clients import Docker, Podman, pull
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

CI = """
set -e
cd /tmp
for program in bash sh ls grep sed awk find xargs tar gzip git curl ssh ssh-keygen; do type -P $program > /dev/null; done
git init -q -b main work && git -C work -c user.name=a -c user.email=a@b commit -q --allow-empty -m first
tar czf work.tar.gz work && tar tzf work.tar.gz | grep -c HEAD
find work -name HEAD | sed s/HEAD/found/ | awk -F/ '{print $NF}' | head -1
test -s "$SSL_CERT_FILE" && curl --version | head -c 4
"""
DEBUG = """
set -e
for program in bash ps top ip ss ping nc strace curl getent less grep; do type -P $program > /dev/null; done
ps -o comm= -p $$
ip -o addr show lo | grep -c 127.0.0.1
"""


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_meta_packages_have_what_their_users_need(
    server: Server, engine: str, request: pytest.FixtureRequest
) -> None:
    client: Docker | Podman = request.getfixturevalue(engine)
    for name in ("ci", "debug", "minimal"):
        pull(client, f"{server.address}/{name}:latest")

    ci = client.run_as((), f"{server.address}/ci", "sh", "-c", CI).splitlines()
    debug = client.run_as((), f"{server.address}/debug", "sh", "-c", DEBUG).splitlines()
    minimal = client.run_as((), f"{server.address}/minimal", "sh", "-c", "echo $((6 * 7))")

    assert ci[1:] == ["found", "curl"]
    assert int(ci[0]) > 0
    assert debug == ["sh", "1"]
    assert minimal == "42\n"
    assert command(client, f"{server.address}/ci") == "[bash]"
    assert command(client, f"{server.address}/minimal") == "[sh]"
    assert size(server, "minimal") < 2_000_000 < size(server, "bash")


def command(client: Docker | Podman, image: str) -> str:
    return client.call("inspect", "--format={{.Config.Cmd}}", image).strip()


def size(server: Server, name: str) -> int:
    """The bytes that a client downloads."""
    manifest = server.get(f"/v2/{name}/manifests/{server.digest(name)}").json()
    return sum(layer["size"] for layer in manifest["layers"])


def test_a_package_set_has_meta_packages_and_services_of_its_own(
    new_server: ServerFactory, salted_packages: Path, docker: Docker
) -> None:
    server = new_server(salted_packages)
    image = f"{server.address}/served/team-tools/coreutils:latest"
    pull(docker, image)

    run = ("run", "--rm", "--network=none")
    assert docker.call(*run, image) == "server in /var/lib/served: its own command\n"
    listed = docker.call(*run, image, "ls", "-ld", "/bin/hello", "/bin/xev", "/bin/tree")
    assert len(listed.splitlines()) == 3
    state = docker.call(*run, image, "stat", "-c", "%U %a", "/var/lib/served")
    assert state == "server 700\n"

    for name, status, message in (
        ("nested-tools", 404, "team-tools is a meta package within another, not a package"),
        ("missing-tools", 404, "no such package: no-such-tool"),
        ("escaping", 403, "escaping: its attribute nixery is not valid"),
        ("endless", 403, "endless: its attribute nixery is not valid"),
        ("served/rival", 403, "the user server (300) of served exists already"),
    ):
        answer = server.get(f"/v2/{name}/manifests/latest")
        assert (answer.status_code, message in answer.text) == (status, True), answer.text
