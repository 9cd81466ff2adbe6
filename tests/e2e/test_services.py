"""Services start by their images' own command, serve, log to standard output, and stop."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import LIMITS, Docker, Podman, pull
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

# Packages to look into a container with; none of them has a service.
TOOLS = "bashinteractive/coreutils"
PSQL = "psql -h /run/postgresql -U postgres -Atc"


@dataclass(frozen=True, slots=True)
class Outcome:
    answer: str
    user: str
    status: str
    log: str


def serve(client: Docker | Podman, image: str, request: str, lasting: str = "") -> Outcome:
    """Start the image, repeat a request inside of it until there is an answer, and stop it.

    ``lasting`` is a request that has not ended by then.
    """
    pull(client, image)
    limits = LIMITS if isinstance(client, Podman) else ()
    container = client.call("run", "--detach", "--network=none", *limits, image).strip()
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
    nginx = serve(
        client, f"{server.address}/nginx/curl/{TOOLS}:latest", "curl -sS http://localhost/here"
    )
    redis = serve(
        client, f"{server.address}/redis/{TOOLS}:latest", "redis-cli set key value 2>/dev/null"
    )

    assert "404 Not Found" in nginx.answer
    assert "GET /here HTTP" in nginx.log
    assert (nginx.user, nginx.status) == ("root", "0")
    assert redis.answer.endswith("OK\n")
    assert "Ready to accept connections" in redis.log
    assert "User requested shutdown" in redis.log
    assert (redis.user, redis.status) == ("redis", "0")


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
