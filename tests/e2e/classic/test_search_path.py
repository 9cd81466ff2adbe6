"""Package sets that import ``<nixpkgs>``, which the setting ``search_path`` names."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.classic.source import SEARCH, StartClassic
from tests.e2e.sourceservers import labels, manifest, message
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e


def test_packages_of_the_classic_file_are_served(start: StartClassic) -> None:
    server = start()

    for name, version in {"hello": "2.12", "words": "1.0", "nested": "1.0"}.items():
        found = labels(server, manifest(server, f"classic/{name}"))
        assert f"{name}-{version}" in found["nixery.packages"]
        assert found["nixery.source"] == "classic"


def test_the_same_package_by_both_sources_is_one_store_path(start: StartClassic) -> None:
    server = start()

    layers = [
        {layer["digest"] for layer in manifest(server, name).json()["layers"]}
        for name in ("hello", "classic/hello")
    ]

    assert layers[0] == layers[1]


def test_another_architecture_reaches_what_the_file_imports(start: StartClassic) -> None:
    response = manifest(start(), "classic/arm64/hello")

    assert response.status_code == 403
    assert "can only be built on aarch64-linux" in message(response)


def test_a_policy_reaches_what_the_file_imports(start: StartClassic) -> None:
    server = start(f'{SEARCH}"nixpkgs"\n[sources.policy]\nallow_unfree = ["unfree"]')

    assert manifest(server, "classic/unfree").status_code == 200


def test_without_the_policy_an_unfree_package_is_refused(start: StartClassic) -> None:
    response = manifest(start(), "classic/unfree")

    assert response.status_code == 403
    assert "allow_unfree" in message(response)


def test_an_image_follows_the_revision_of_the_search_path(
    start: StartClassic, nixpkgs: Path
) -> None:
    server = start()
    before = server.digest("classic/hello")

    file = nixpkgs / "default.nix"
    file.write_text(file.read_text().replace("2.12", "2.13"))

    found = labels(server, manifest(server, "classic/hello"))
    assert "hello-2.13" in found["nixery.packages"]
    assert server.digest("classic/hello") != before


def test_a_search_path_that_cannot_be_reached_is_a_503_that_names_it(
    start: StartClassic, nixpkgs: Path
) -> None:
    server = start()
    shutil.rmtree(nixpkgs)

    response = manifest(server, "classic/hello")

    assert response.status_code == 503
    assert "it is <nixpkgs> of source classic" in message(response)


def test_without_a_search_path_the_setting_is_named(start: StartClassic, nixpkgs: Path) -> None:
    server = start("", NIX_CONFIG=f"nix-path = nixpkgs={nixpkgs}")

    response = manifest(server, "classic/hello")

    assert response.status_code == 403
    assert "search_path" in message(response)


def test_a_function_with_the_argument_pkgs_needs_a_search_path(
    start: StartClassic, repository: Repository
) -> None:
    repository.commit("{ pkgs }: { inherit (pkgs) hello; }")

    response = manifest(start(""), "classic/hello")

    assert response.status_code == 403
    assert "search_path" in message(response)


def test_a_search_path_that_leads_back_ends_with_a_reason(
    start: StartClassic, repository: Repository
) -> None:
    server = start(f'{SEARCH}"classic"')

    response = manifest(server, "classic/hello")

    assert response.status_code == 403
    assert "infinite recursion" in message(response)
