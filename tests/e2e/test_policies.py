"""Two sources of one repository, side by side on one server, each with rules of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import ROOT, Server
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

IMAGE = ROOT / "tests" / "nix" / "small" / "image.nix"
# Each of these is one thing a policy may forbid.
PACKAGES = """
{ system, ... }@arguments:
let image = import ./image.nix arguments; in
image // {
  unfree = image.tool // { name = "unfree"; meta.license = { free = false; shortName = "own"; }; };
  insecure = image.tool // { name = "insecure"; meta.knownVulnerabilities = [ "CVE-2000-0001" ]; };
  broken = image.tool // { name = "broken"; meta.broken = true; };
  failing = derivation {
    name = "failing-SALT";
    inherit system;
    builder = "/bin/sh";
    args = [ "-c" "echo half > $out; exit 1" ];
  };
  endless =
    let each = f: builtins.foldl' (last: n: f n) image.tool (builtins.genList (n: n) 3000);
    in each (a: each (b: each (c: image.tool)));
}
"""
SETTINGS = """
[[sources]]
name = "lax"
kind = "git"
location = "{location}"
substituters = []
[sources.policy]
allow_unfree = true
allow_insecure = ["insecure"]
allow_broken = ["another"]

[[sources]]
name = "strict"
kind = "git"
location = "{location}"
refs = ["v*"]
build = false
evaluation_seconds = 5
substituters = []
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With packages that no store has yet."""
    home = tmp_path_factory.mktemp("policies")
    repository = Repository(home / "upstream")
    salt = uuid.uuid4().hex
    fresh = IMAGE.read_text().replace("tool-VERSION", f"tool-{salt}")
    (repository.path / "image.nix").write_text(fresh)
    repository.commit(PACKAGES.replace("SALT", salt))
    repository.git("tag", "v1")
    settings = home / "nixery.toml"
    settings.write_text(SETTINGS.format(location=repository.url))
    server = Server(home / "server", IMAGE, NIXERY_CONFIG=str(settings)).start()
    yield server
    server.stop()


REFUSALS = {
    "strict/tool": "source strict only serves what a binary cache has (build = false)",
    "strict/unfree": "allow_unfree",
    "strict/insecure": "CVE-2000-0001",
    "strict/broken": "marked as broken",
    "strict/endless": "stopped after 5 s (evaluation_seconds of source strict)",
    "lax/broken": "allow_broken",  # it allows another one
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_source_does_not_allow_is_refused_with_its_setting(
    server: Server, name: str
) -> None:
    answer = server.get(f"/v2/{name}/manifests/latest")

    assert answer.status_code == 403
    assert REFUSALS[name] in answer.json()["errors"][0]["message"]


def test_a_tag_is_looked_up_among_those_its_source_allows(server: Server) -> None:
    lax = server.get("/v2/lax/tool/manifests/v2")
    strict = server.get("/v2/strict/tool/manifests/main")

    assert (lax.status_code, strict.status_code) == (404, 404)
    assert "has no branch, tag or commit v2; it has latest, main, v1" in lax.text
    assert lax.json()["errors"][0]["detail"] == {"tags": ["latest", "main", "v1"]}
    assert "source strict serves latest and tags like v*, not main" in strict.text


def test_a_source_serves_what_it_allows_whatever_another_allows(server: Server) -> None:
    for name in ("lax/other", "lax/unfree", "lax/insecure"):
        answer = server.get(f"/v2/{name}/manifests/main")

        assert answer.status_code == 200, answer.text


def test_what_a_build_that_failed_left_is_not_in_the_store(server: Server) -> None:
    failed = server.get("/v2/lax/failing/manifests/v1")
    refused = server.get("/v2/strict/failing/manifests/v1")

    assert (failed.status_code, refused.status_code) == (403, 403), refused.text
    [error] = refused.json()["errors"]
    assert REFUSALS["strict/tool"] in error["message"]
    # Nix leaves the output of a builder, so the refusal must not go by the file.
    [path] = error["detail"]["paths"]
    assert Path(path).read_text() == "half\n"
