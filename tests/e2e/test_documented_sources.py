"""The example of docs/own-packages.md, followed to the letter: only its addresses are other ones."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import Client, Skopeo, pull
from tests.e2e.door import SETS
from tests.e2e.flakelocks import lock, nar_hash
from tests.e2e.githosts import https_files, new_authority
from tests.e2e.newer_nix import NewerNix, unpack_nix
from tests.e2e.process import SYSTEM_PATH
from tests.e2e.server import ROOT, Server
from tests.e2e.sourceservers import labels, manifest
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

TOOL = '{ stdenv, lib }: stdenv.mkDerivation { pname = "NAME"; text = lib.words [ "a" "NAME" ]; }\n'


@dataclass(frozen=True, slots=True)
class Example:
    """The code blocks of the section of examples, in their order."""

    settings: str
    flake: str
    nur: str
    classic: str


@pytest.fixture(scope="module")
def example() -> Example:
    page = (ROOT / "docs" / "own-packages.md").read_text()
    section = page.partition("## Examples")[2].partition("\n## ")[0]
    return Example(*re.findall(r"```(?:toml|nix)\n(.*?)```", section, re.DOTALL))


def channels(home: Path, nixpkgs: Repository) -> Path:
    """A host's files: what two channels publish, and the archive of their commit."""
    files = home / "channels"
    commit = nixpkgs.git("rev-parse", "HEAD")
    for channel in ("nixos-unstable", "nixos-24.05"):
        (files / channel).mkdir(parents=True)
        (files / channel / "git-revision").write_text(commit)
    archive = str(files / f"{commit}.tar.gz")
    nixpkgs.git("archive", "--prefix=nixpkgs/", f"--output={archive}", commit)
    return files


def repositories(home: Path, example: Example, nixpkgs: Path) -> dict[str, Repository]:
    """By their addresses in the example."""
    made = {name: Repository(home / name) for name in ("flake", "nur-packages", "classic")}
    (made["flake"].path / "nix").mkdir()
    flake = example.flake.replace("github:NixOS/nixpkgs/nixos-24.05", f"path:{nixpkgs}")
    made["flake"].commit(TOOL.replace("NAME", "tool"), "nix/tool.nix")
    made["flake"].commit(flake, "nix/flake.nix")
    lock(made["flake"], str(nixpkgs), nar_hash(nixpkgs), "nix/", name="nixpkgs")
    made["nur-packages"].commit(TOOL.replace("NAME", "mypackage"), "mypackage.nix")
    made["nur-packages"].commit(example.nur)
    made["classic"].commit(TOOL.replace("NAME", "ourtool"), "ourtool.nix")
    made["classic"].commit(example.classic)
    return made


@pytest.fixture(scope="module", params=["2.8", "trixie"])
def nix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewerNix:
    """The machine's own Nix, and a newer one."""
    if request.param == "2.8":
        return NewerNix(SYSTEM_PATH, ())
    return unpack_nix(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def server(
    example: Example, nix: NewerNix, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("documented")
    nixpkgs = Repository(home / "nixpkgs")
    shutil.copytree(SETS / "nixpkgs", nixpkgs.path, dirs_exist_ok=True)
    nixpkgs.commit("packages", "readme")
    plain = Path(shutil.copytree(SETS / "nixpkgs", home / "plain"))
    authority = new_authority(home / "authority")
    settings = example.settings
    for name, repository in repositories(home, example, plain).items():
        settings = re.sub(rf"https://git\.example\.org/\w+/{name}\.git", repository.url, settings)
    assert "example.org" not in settings
    with https_files(channels(home, nixpkgs), authority=authority) as port:
        host = f"https://localhost:{port}"
        written = home / "nixery.toml"
        written.write_text(
            settings.replace(
                'kind = "channel"\n',
                f'kind = "channel"\nlocation = "{host}"\narchive = "{host}/{{commit}}.tar.gz"\n',
            )
        )
        server = Server(
            home / "server",
            home,
            within=nix.within,
            PATH=nix.path,
            NIXERY_CONFIG=str(written),
            SSL_CERT_FILE=str(authority.ca),
            NIX_CONF_DIR=os.environ["NIX_CONF_DIR"],
        )
        del server.environment["NIXERY_PKGS_PATH"]
        yield server.start()
        server.stop()


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("hello", "cacert-1.0 hello-2.12 iana-etc-1.0"),
        ("company/tool", "cacert-1.0 iana-etc-1.0 tool-1.0"),
        (
            "nur/shell/mypackage",
            "bashInteractive-1.0 cacert-1.0 coreutils-1.0 iana-etc-1.0 moreutils-1.0 mypackage-1.0 nano-1.0",
        ),
        ("classic/ourtool", "cacert-1.0 iana-etc-1.0 ourtool-1.0"),
    ],
)
def test_names_in_the_example_can_be_pulled(
    server: Server, skopeo: Skopeo, name: str, packages: str
) -> None:
    client: Client = skopeo

    pull(client, f"{server.address}/{name}:latest")

    response = manifest(server, name)
    assert labels(server, response)["nixery.packages"] == packages
    assert "Warning" not in response.headers
