"""A Nix store that has grown beyond its limit: builds stop until its garbage is collected."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.door import SMALL
from tests.e2e.newer_nix import NewerNix
from tests.e2e.server import Server
from tests.e2e.sourceservers import manifest, message
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

# ``endless`` waits once its large input is in the store.
PACKAGES = f"""
arguments:
let
  run = name: script: derivation {{
    inherit name;
    inherit (arguments) system;
    builder = "/bin/sh";
    args = [ "-c" script ];
  }};
in
import {SMALL}/base.nix arguments // rec {{
  large = run "large-1.0" "/bin/head -c 4000000 /dev/zero > $out";
  endless = run "endless-1.0" "echo ${{large}}; while :; do /bin/sleep 0.2; done";
  small = run "small-1.0" "echo small > $out";
}}
"""


@pytest.fixture
def nix(every_nix: NewerNix, tmp_path: Path) -> NewerNix:
    """Nix with an empty store."""
    return every_nix.with_store(tmp_path)


@pytest.fixture
def server(nix: NewerNix, tmp_path: Path) -> Iterator[Server]:
    packages = tmp_path / "packages.nix"
    packages.write_text(PACKAGES)
    server = Server(
        tmp_path / "server",
        packages,
        within=nix.within,
        PATH=nix.path,
        NIXERY_STORE_SIZE="3",
        NIXERY_FAILURE_SECONDS="0",
        NIX_CONFIG="substituters =",
    )
    yield server.start()
    server.stop()


def test_builds_stop_above_the_size_of_the_store_until_its_garbage_is_collected(
    server: Server, nix: NewerNix
) -> None:
    stopped = manifest(server, "endless")
    assert stopped.status_code == 503
    assert "stopped while building" in message(stopped)
    assert "(NIXERY_STORE_SIZE)" in message(stopped)
    assert int(stopped.headers["Retry-After"]) <= 10

    refused = manifest(server, "small")
    assert refused.status_code == 503
    assert "the Nix store has 3 MiB, and may have 3 (NIXERY_STORE_SIZE)" in message(refused)
    assert "nix-collect-garbage" in message(refused)
    # It needs no more space.
    assert server.digest("large")

    nix.run("nix-collect-garbage")

    # A measurement is used for ten seconds.
    wait_until(lambda: manifest(server, "small").status_code == 200)
