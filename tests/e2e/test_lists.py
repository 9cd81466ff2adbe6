"""Tags of repositories as the whole server lists them, from what it knows without asking."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.process import succeed
from tests.e2e.server import Server, ServerFactory
from tests.unit.builder.sources.git.repository import Repository
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

BRANCHES = ["latest", "main", "nixos-25.05"]


@pytest.fixture
def repository(packages: Path, tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "upstream")
    repository.commit(f"arguments: import {packages} arguments")
    repository.git("branch", "nixos-25.05")
    return repository


@pytest.fixture
def server(repository: Repository, tmp_path: Path, new_server: ServerFactory) -> Server:
    """A server with a repository, a channel host that does not exist, and the usual directory."""
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f"""
        [[sources]]
        name = "team"
        kind = "git"
        location = "{repository.url}"

        [[sources]]
        name = "stable"
        kind = "channel"
        location = "http://127.0.0.1:9"
        channel = "nixos-24.05"
        refs = ["nixos-2*", "nixpkgs-unstable"]
        """
    )
    return new_server(NIXERY_CONFIG=str(settings))


def tags(server: Server, name: str) -> list[str]:
    answer = server.get(f"/v2/{name}/tags/list")
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["tags"]
    return found


def ask_for_a_typo(server: Server, name: str) -> None:
    """Answered as soon as the names of the package set are in memory; nothing is built."""
    address = f"/v2/{name}/manifests/latest"
    wait_until(lambda: "did you mean" in server.get(address).text)


def test_settings_name_tags_before_any_request(server: Server) -> None:
    assert tags(server, "git") == tags(server, "team/git") == ["latest"]
    assert tags(server, "stable/git") == ["latest", "nixos-24.05", "nixpkgs-unstable"]
    # A starting server queries Nix's version and configuration.
    queries = {started.split()[1] for started in server.nix_starts}
    assert queries <= {"--version", "config", "show-config"}, queries


def test_the_branches_of_a_repository_are_tags_of_all_that_is_in_it(
    server: Server, repository: Repository
) -> None:
    unknown = server.get("/v2/team/git/manifests/nixos-25.11")
    assert unknown.status_code == 404
    assert "it has latest, main, nixos-25.05" in unknown.text
    shutil.rmtree(repository.path)  # no upstream responds from now on

    assert tags(server, "team/git") == tags(server, "team/shell/htop") == BRANCHES
    page = server.get("/v2/team/git/tags/list?n=2")
    assert page.json()["tags"] == BRANCHES[:2]
    assert page.headers["Link"] == '</v2/team/git/tags/list?n=2&last=main>; rel="next"'


def test_skopeo_lists_the_tags_of_what_it_inspects(server: Server) -> None:
    image = f"docker://{server.address}/team/jq"

    inspected = json.loads(succeed("skopeo", "inspect", "--tls-verify=false", f"{image}:main"))
    listed = json.loads(succeed("skopeo", "list-tags", "--tls-verify=false", image))

    assert inspected["Digest"] == server.digest("team/jq", "main")
    assert inspected["RepoTags"] == listed["Tags"] == BRANCHES


@pytest.mark.parametrize("source", ["", "team/"])
def test_what_is_not_among_the_names_in_memory_has_no_tags_and_is_not_evaluated(
    server: Server, source: str
) -> None:
    assert "latest" in tags(server, f"{source}neverasked")
    ask_for_a_typo(server, f"{source}gti")
    starts = server.nix_starts

    for name in ("neverasked", "git/never-asked", "debianpackages.neverasked"):
        answer = server.get(f"/v2/{source}{name}/tags/list")
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["code"]) == (404, "NAME_UNKNOWN")
        assert error["message"].startswith(f"no such package: {name.rpartition('/')[2]}")
    for name in ("git", "shell/2ping/nonroot", "debianpackages.git", "curl.bin", "arm64/git"):
        assert "latest" in tags(server, f"{source}{name}")
    assert server.nix_starts == starts
