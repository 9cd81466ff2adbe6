"""Services start by their images' own command, serve, log to standard output, and stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import LIMITS, Docker, Podman, pull
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

# Packages to look into a container with; none of them has a service.
TOOLS = "bashinteractive/coreutils"
NGINX, REDIS = f"nginx/curl/{TOOLS}", f"redis/{TOOLS}"
HTTP, SET = "curl -sS http://localhost/here", "redis-cli set key value 2>/dev/null"
# Pod Security's level "restricted", with an id of OpenShift.
RESTRICTED = ("--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=1000680000:0")
PSQL = "psql -h /run/postgresql -U postgres -Atc"


@dataclass(frozen=True, slots=True)
class Outcome:
    answer: str
    user: str
    status: str
    log: str


def serve(
    client: Docker | Podman,
    image: str,
    request: str,
    lasting: str = "",
    options: Sequence[str] = (),
) -> Outcome:
    """Start the image, repeat a request inside of it until there is an answer, and stop it.

    ``lasting`` is a request that has not ended by then.
    """
    pull(client, image)
    limits = LIMITS if isinstance(client, Podman) else ()
    container = client.call("run", "--detach", "--network=none", *limits, *options, image).strip()
    try:
        inside = ("exec", container, "bash", "-c")
        answer = client.call(*inside, f"until {request}; do :; done")
        user = client.call(*inside, "stat -c %U /proc/1")
        if lasting:
            client.call("exec", "--detach", container, "bash", "-c", f"touch /tmp/begun; {lasting}")
            client.call(*inside, "until test -e /tmp/begun; do :; done")
        client.call("stop", "--time=60", container)
        status = client.call("inspect", "--format={{.State.ExitCode}}", container)
        return Outcome(answer, user.strip(), status.strip(), client.both("logs", container))
    finally:
        client.call("rm", "--force", container)


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_services_of_the_small_set_serve_log_and_stop(
    server: Server, name: str, request: pytest.FixtureRequest
) -> None:
    client: Docker | Podman = request.getfixturevalue(name)
    nginx = serve(client, f"{server.address}/{NGINX}:latest", HTTP)
    redis = serve(client, f"{server.address}/{REDIS}:latest", SET)

    assert "404 Not Found" in nginx.answer
    assert "GET /here HTTP" in nginx.log
    assert (nginx.user, nginx.status) == ("root", "0")
    assert redis.answer.endswith("OK\n")
    assert "Ready to accept connections" in redis.log
    assert "User requested shutdown" in redis.log
    assert (redis.user, redis.status) == ("redis", "0")


@pytest.mark.parametrize(
    ("name", "request_", "state"),
    [(NGINX, HTTP, "/var/lib/nginx"), (REDIS, SET, "/var/lib/redis")],
    ids=["nginx", "redis"],
)
def test_services_start_as_any_user_and_on_a_read_only_root(
    server: Server, docker: Docker, name: str, request_: str, state: str
) -> None:
    plain = f"{server.address}/{name}:latest"
    nonroot = f"{server.address}/nonroot/{name}:latest"
    read_only = ("--read-only", f"--tmpfs={state}")

    for image, options, user in (
        (plain, ["--user=1000"], "user"),
        (plain, read_only, "root" if name == NGINX else "redis"),
        (nonroot, [], "nonroot"),
        (nonroot, [*RESTRICTED, *read_only], "user1000680000"),
    ):
        found = serve(docker, image, request_, options=options)
        assert (found.user, found.status) == (user, "0"), found.log


def test_other_users_open_port_80_in_podman_if_it_is_lowered_to_theirs(
    server: Server, podman: Podman
) -> None:
    """Docker does so by itself."""
    port = "--sysctl=net.ipv4.ip_unprivileged_port_start=80"
    read_only = ("--read-only", "--tmpfs=/var/lib/nginx")
    for name, options, user in (
        (f"nonroot/{NGINX}", [port], "nonroot"),
        (NGINX, [port, *RESTRICTED, *read_only], "user1000680000"),
    ):
        found = serve(podman, f"{server.address}/{name}:latest", HTTP, options=options)
        assert (found.user, found.status) == (user, "0"), found.log


@pytest.mark.full
def test_postgresql_makes_its_database_serves_and_stops(
    new_server: ServerFactory, full_packages: Path, docker: Docker
) -> None:
    server = new_server(full_packages)

    found = serve(
        docker,
        f"{server.address}/postgresql/{TOOLS}:latest",
        f"{PSQL} \"select timestamptz '2026-01-01 12:00 Europe/Berlin' at time zone 'UTC'\" 2>/dev/null",
        lasting=f"{PSQL} 'select pg_sleep(1000)'",
    )

    assert found.answer.endswith("2026-01-01 11:00:00\n")
    assert "database system is ready to accept connections" in found.log
    assert (found.user, found.status) == ("postgres", "0")

    directories = [f"--tmpfs={path}" for path in ("/var/lib/postgresql", "/run/postgresql", "/tmp")]
    found = serve(
        docker,
        f"{server.address}/nonroot/postgresql/{TOOLS}:latest",
        f"{PSQL} 'select 1' 2>/dev/null",
        options=[*RESTRICTED, "--read-only", *directories, "--env=POSTGRES_PASSWORD=secret"],
    )

    assert found.answer.endswith("1\n")
    assert (found.user, found.status) == ("user1000680000", "0"), found.log
