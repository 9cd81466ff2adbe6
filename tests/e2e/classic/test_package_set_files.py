"""What the files of a package set may be: functions, one package, a subdirectory, a symlink."""

from pathlib import Path

import pytest

from tests.e2e.classic.source import SEARCH, StartClassic
from tests.e2e.sourceservers import labels, manifest, message, source_servers
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "takes", ["{ pkgs }", "{ pkgs, lib, ... }", "{ lib, pkgs ? null, system }@a"]
)
def test_a_function_gets_its_required_arguments(
    start: StartClassic, repository: Repository, takes: str
) -> None:
    tool = '(if a ? pkgs then a.pkgs else (import <nixpkgs> { })).stdenv.mkDerivation { pname = "tool"; }'
    if "@a" not in takes:
        tool = 'pkgs.stdenv.mkDerivation { pname = "tool"; }'
    repository.commit(f"{takes}: {{ tool = {tool}; }}")
    server = start()

    assert "tool-1.0" in labels(server, manifest(server, "classic/tool"))["nixery.packages"]


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
def test_a_missing_file_is_explained_with_the_setting(
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
