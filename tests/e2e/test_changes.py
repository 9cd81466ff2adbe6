"""Images follow a source whose branches move and whose settings change."""

from functools import partial
from pathlib import Path

import pytest

from tests.e2e.server import Server, ServerFactory
from tests.unit.builder.sources.git.repository import Repository
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

PACKAGES = """
{ system, ... }:
let
  package = name: derivation {
    inherit name system;
    builder = "/bin/sh";
    args = [ "-c" "echo > $out" ];
  };
in {
  cacert = package "cacert";
  iana-etc = package "iana-etc";
  tool = package "tool";
  spy = package (builtins.readFile "SECRET");
  licensed = package "licensed" // { meta.license = { free = false; shortName = "own"; }; };
  # more
}
"""
SETTINGS = """
[[sources]]
name = "set"
kind = "git"
location = "{location}"
revision_seconds = 1
substituters = []
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "upstream")
    (tmp_path / "secret").write_text("not-for-strangers")
    repository.commit(PACKAGES.replace("SECRET", str(tmp_path / "secret")))
    return repository


def test_what_a_moved_branch_adds_is_there_after_the_time_to_live_and_failures_pass(
    repository: Repository, packages: Path, new_server: ServerFactory, tmp_path: Path
) -> None:
    settings = tmp_path / "nixery.toml"
    settings.write_text(SETTINGS.format(location=repository.url))
    server = new_server(packages, NIXERY_CONFIG=str(settings))
    before = {
        name: server.get(f"/v2/{name}/manifests/main").status_code
        for name in ("set/newt", "set/licensed", "set/tool")
    }
    assert before == {"set/newt": 404, "set/licensed": 403, "set/tool": 200}
    assert server.get("/v2/set/tool/manifests/soon").status_code == 404

    text = (repository.path / "default.nix").read_text()
    text = text.replace("# more", 'newt = package "newt";').replace("free = false", "free = true")
    repository.commit(text)
    repository.git("tag", "soon")

    for image in ("newt/manifests/main", "licensed/manifests/main", "tool/manifests/soon"):
        wait_until(partial(is_served, server, f"/v2/set/{image}"))


def is_served(server: Server, path: str) -> bool:
    return server.get(path).status_code == 200


def test_a_source_no_longer_trusted_serves_nothing_that_took_trust(
    repository: Repository, packages: Path, new_server: ServerFactory, tmp_path: Path
) -> None:
    settings = tmp_path / "nixery.toml"
    settings.write_text(SETTINGS.format(location=repository.url))
    server = new_server(packages, NIXERY_CONFIG=str(settings))
    answer = server.get("/v2/set/spy/manifests/main")
    assert answer.status_code == 200, answer.text
    server.stop()

    settings.write_text(
        SETTINGS.format(location=repository.url) + "trusted = false\nbuild_unsandboxed = true\n"
    )
    server.start()

    answer = server.get("/v2/set/spy/manifests/main")
    assert answer.status_code == 403
    assert "forbidden in restricted mode" in answer.text
    assert server.get("/v2/set/tool/manifests/main").status_code == 200
