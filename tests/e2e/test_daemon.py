"""The server of a user without rights, whose builds are done by Nix's daemon, as in deploy/systemd."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.process import Process, program
from tests.e2e.server import Server, ServerFactory

pytestmark = pytest.mark.e2e

USER = 65534
# Like the services that the unit starts, but for reading: a clone may be in root's home.
AS_USER = (
    *(program("setpriv"), f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)
PACKAGES = """\
{{ system, ... }}:
{{
  fresh = derivation {{
    name = "fresh-1";
    inherit system;
    builder = "/bin/sh";
    args = [ "-c" "/bin/mkdir -p $out/share; echo {salt} > $out/share/fresh" ];
  }};
}}
"""


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    """Of a daemon with the configuration of the tests, without a sandbox."""
    socket = tmp_path / "socket"
    variables = {"NIX_DAEMON_SOCKET_PATH": str(socket), "NIX_REMOTE": ""}
    with Process(("nix-daemon",), log=tmp_path / "daemon-log", env=variables) as daemon:
        daemon.wait_until(socket.exists)
        yield socket


def server_of(home: Path, packages: Path, socket: Path, **settings: str) -> Server:
    server = Server(
        home,
        packages,
        AS_USER,
        NIX_REMOTE="daemon",
        NIX_DAEMON_SOCKET_PATH=str(socket),
        **settings,
    )
    home.chmod(0o777)
    return server


def test_its_images_are_those_of_a_server_that_owns_the_store(
    socket: Path, tmp_path: Path, new_server: ServerFactory
) -> None:
    packages = tmp_path / "set"
    packages.mkdir()
    (packages / "default.nix").write_text(PACKAGES.format(salt=uuid.uuid4().hex))
    server = server_of(tmp_path / "server", packages, socket)

    server.start()
    built = server.digest("fresh")
    started = [line for line in server.nix_starts if "--realise" in line]
    ready = server.get("/readyz")
    server.stop()

    assert started
    assert ready.json()["ready"], ready.text
    assert (tmp_path / "server/storage/blobs").stat().st_uid == USER
    assert new_server(packages).digest("fresh") == built


def test_the_sandbox_is_that_of_the_daemon(socket: Path, tmp_path: Path) -> None:
    packages = tmp_path / "set"
    packages.mkdir()
    (packages / "default.nix").write_text(PACKAGES.format(salt="none"))
    settings = tmp_path / "nixery.toml"
    settings.write_text(
        f'[[sources]]\nname = "strange"\nkind = "path"\nlocation = "{packages}"\ntrusted = false\n'
    )
    chosen = {"NIXERY_CONFIG": str(settings), "NIX_CONFIG": "sandbox = true"}
    chosen["NIX_CONF_DIR"] = os.environ["NIX_CONF_DIR"]  # the daemon's

    done = server_of(tmp_path / "server", packages, socket, **chosen).command("serve")

    assert done.returncode == 3, done.stderr
    assert "source strange is untrusted and may build" in done.stderr


def test_a_server_without_its_daemon_is_not_ready(tmp_path: Path) -> None:
    packages = tmp_path / "set"
    packages.mkdir()
    (packages / "default.nix").write_text(PACKAGES.format(salt="none"))
    server = server_of(tmp_path / "server", packages, tmp_path / "absent")

    server.start()
    ready = server.get("/readyz")
    server.stop()

    assert ready.status_code == 503
    assert "Nix cannot open its store: cannot connect to socket" in ready.text
