"""Package sets as people have them: ``{ pkgs ? import <nixpkgs> { } }:``, subdirectories, one package."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.door import SETS
from tests.e2e.server import Server
from tests.e2e.sourceservers import labels, manifest, message, source_servers
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

CLASSIC = """
{ pkgs ? import <nixpkgs> { } }:
{
  inherit (pkgs) hello unfree;
  words = pkgs.stdenv.mkDerivation { pname = "words"; text = (import <nixpkgs/lib>).words [ "a" "b" ]; };
  nested = pkgs.callPackage ./nested.nix { };
}
"""
NESTED = '{ stdenv, lib }: stdenv.mkDerivation { pname = "nested"; }'
SEARCH = "[sources.search_path]\nnixpkgs = "

StartClassic = Callable[..., Server]


@pytest.fixture
def nixpkgs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SETS / "nixpkgs", tmp_path / "nixpkgs"))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "repository")
    repository.commit(NESTED, "nested.nix")
    repository.commit(CLASSIC)
    return repository


@pytest.fixture(params=["trusted", "untrusted"])
def start(
    request: pytest.FixtureRequest, tmp_path: Path, nixpkgs: Path, repository: Repository
) -> Iterator[StartClassic]:
    """Start a server with nixpkgs as its default source, and the repository as another."""
    trusted = "" if request.param == "trusted" else "trusted = false\nbuild_unsandboxed = true"
    with source_servers(tmp_path) as start:

        def start_classic(settings: str = f'{SEARCH}"nixpkgs"', **environment: str) -> Server:
            return start(
                environment,
                nixpkgs=f'kind = "path"\nlocation = "{nixpkgs}"',
                classic=f'kind = "git"\nlocation = "{repository.url}"\n{trusted}\n{settings}',
            )

        yield start_classic


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


@pytest.mark.parametrize(
    "takes", ["{ pkgs }", "{ pkgs, lib, ... }", "{ lib, pkgs ? null, system }@a"]
)
def test_a_function_is_given_what_it_cannot_do_without(
    start: StartClassic, repository: Repository, takes: str
) -> None:
    tool = '(if a ? pkgs then a.pkgs else (import <nixpkgs> { })).stdenv.mkDerivation { pname = "tool"; }'
    if "@a" not in takes:
        tool = 'pkgs.stdenv.mkDerivation { pname = "tool"; }'
    repository.commit(f"{takes}: {{ tool = {tool}; }}")
    server = start()

    assert "tool-1.0" in labels(server, manifest(server, "classic/tool"))["nixery.packages"]


def test_a_function_that_takes_packages_without_a_search_path_is_told_of_it(
    start: StartClassic, repository: Repository
) -> None:
    repository.commit("{ pkgs }: { inherit (pkgs) hello; }")

    response = manifest(start(""), "classic/hello")

    assert response.status_code == 403
    assert "search_path" in message(response)


@pytest.mark.parametrize("name", ["default", "mytool"])
def test_a_file_that_is_one_package_is_served_by_its_name(
    start: StartClassic, repository: Repository, name: str
) -> None:
    repository.commit(
        '{ pkgs ? import <nixpkgs> { } }: pkgs.stdenv.mkDerivation { pname = "MyTool"; }'
    )
    server = start()

    assert "-1.0" in labels(server, manifest(server, f"classic/{name}"))["nixery.packages"]
    assert manifest(server, "classic/name").status_code == 404


def test_a_package_set_may_be_in_a_subdirectory(
    start: StartClassic, repository: Repository
) -> None:
    (repository.path / "nix" / "set").mkdir(parents=True)
    repository.commit("import ../../default.nix", "nix/set/default.nix")
    server = start(f'directory = "nix/set"\n{SEARCH}"nixpkgs"')

    assert "hello-2.12" in labels(server, manifest(server, "classic/hello"))["nixery.packages"]


def test_two_directories_of_one_commit_are_two_package_sets(
    tmp_path: Path, nixpkgs: Path, repository: Repository
) -> None:
    for name in ("one", "two"):
        (repository.path / name).mkdir()
        tool = f'{{ pkgs }}: {{ tool = pkgs.stdenv.mkDerivation {{ pname = "{name}"; }}; }}'
        repository.commit(tool, f"{name}/default.nix")
    base = f'kind = "git"\nlocation = "{repository.url}"\ndirectory = '
    with source_servers(tmp_path) as start:
        server = start(
            nixpkgs=f'kind = "path"\nlocation = "{nixpkgs}"',
            one=f'{base}"one"\n{SEARCH}"nixpkgs"',
            two=f'{base}"two"\n{SEARCH}"nixpkgs"',
        )
        digests = {server.digest(f"{name}/tool") for name in ("one", "two")}

    assert len(digests) == 2


@pytest.mark.parametrize(
    ("file", "settings", "expected"),
    [
        ("default.nix", 'directory = "absent"', "directory 'absent' does not exist"),
        ("flake.nix", "", 'there is a flake.nix, which kind = "flake" serves'),
        ("readme", "", "the setting directory may name the one that has it"),
    ],
)
def test_a_file_that_is_not_there_is_explained_with_the_setting(
    start: StartClassic, repository: Repository, file: str, settings: str, expected: str
) -> None:
    repository.git("rm", "--quiet", "default.nix")
    repository.commit("{ }", file)

    response = manifest(start(settings), "classic/hello")

    assert response.status_code == 403
    assert expected in message(response)


def test_a_file_that_is_not_a_set_of_packages_is_explained(
    start: StartClassic, repository: Repository
) -> None:
    server = start()
    for text, expected in {
        "final: prev: { }": "it is a function of functions, such as an overlay",
        "{ pkgs ? import <nixpkgs> { } }: final: prev: { }": "such as an overlay",
        "{ arch, system }: { }": "called without required argument 'arch'",
        "[ ]": "the package source is a list, not a set of packages",
    }.items():
        repository.commit(text)
        response = manifest(server, "classic/hello")
        assert response.status_code == 403
        assert expected in message(response)


def test_a_directory_may_be_a_symlink_within_the_repository(
    start: StartClassic, repository: Repository
) -> None:
    (repository.path / "real").mkdir()
    (repository.path / "linked").symlink_to("real")
    (repository.path / "outside").symlink_to("/etc")
    repository.git("add", "linked", "outside")
    repository.commit("import ../default.nix", "real/default.nix")

    server = start(f'directory = "linked"\n{SEARCH}"nixpkgs"')
    assert "hello-2.12" in labels(server, manifest(server, "classic/hello"))["nixery.packages"]
    response = manifest(start(f'directory = "outside"\n{SEARCH}"nixpkgs"'), "classic/hello")

    assert response.status_code == 403
    # Newer Nix refuses the symlink itself.
    expected = ("setting directory", "access to absolute path '/etc' is forbidden")
    assert any(text in message(response) for text in expected)


def test_a_search_path_that_leads_back_ends_with_a_reason(
    start: StartClassic, repository: Repository
) -> None:
    server = start(f'{SEARCH}"classic"')

    response = manifest(server, "classic/hello")

    assert response.status_code == 403
    assert "infinite recursion" in message(response)
