"""A source with a package set that imports ``<nixpkgs>``, beside a source that has it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.door import SETS
from tests.e2e.server import Server
from tests.e2e.sourceservers import source_servers
from tests.unit.builder.sources.git.repository import Repository

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


def copy_of_nixpkgs(home: Path) -> Path:
    return Path(shutil.copytree(SETS / "nixpkgs", home / "nixpkgs"))


def classic_repository(home: Path) -> Repository:
    repository = Repository(home / "repository")
    repository.commit(NESTED, "nested.nix")
    repository.commit(CLASSIC)
    return repository


@contextmanager
def classic_servers(
    home: Path, nixpkgs: Path, repository: Repository, *, trusted: bool
) -> Iterator[StartClassic]:
    """Start servers with nixpkgs as their default source, and the repository as ``classic``."""
    confined = "" if trusted else "trusted = false\nbuild_unsandboxed = true"
    with source_servers(home) as start:

        def start_classic(settings: str = f'{SEARCH}"nixpkgs"', **environment: str) -> Server:
            return start(
                environment,
                nixpkgs=f'kind = "path"\nlocation = "{nixpkgs}"',
                classic=f'kind = "git"\nlocation = "{repository.url}"\n{confined}\n{settings}',
            )

        yield start_classic
