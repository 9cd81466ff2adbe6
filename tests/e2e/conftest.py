"""What end-to-end tests share: clients, started once, packages, and servers."""

import itertools
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.clients import Client, Containerd, Docker, Podman, Skopeo
from tests.e2e.door import SMALL, Door, MakeDoor, doors
from tests.e2e.heldbuilds import HeldBuild
from tests.e2e.newer_nix import NewerNix, own_nix, unpack_nix
from tests.e2e.newer_podman import NewerPodman
from tests.e2e.process import succeed
from tests.e2e.releases import loaded, unpack, with_own_libraries
from tests.e2e.server import ROOT, Server, ServerFactory
from tests.ownership import current_owner

# What skopeo depends on by its packaging and does not load.
NOT_LOADED = ("golang-github-containers", "debconf", "perl", "dpkg")
# Before any test module asks Nix, or copies the environment.
os.environ["NIX_CONF_DIR"] = str(ROOT / "tests" / "nix")


@pytest.fixture(scope="session")
def skopeo(tmp_path_factory: pytest.TempPathFactory) -> Skopeo:
    return Skopeo(tmp_path_factory.mktemp("skopeo"))


@pytest.fixture(scope="session")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    client = Containerd(tmp_path_factory.mktemp("containerd"))
    yield client
    client.close()


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory, containerd: Containerd) -> Iterator[Docker]:
    client = Docker(tmp_path_factory.mktemp("docker"), containerd=containerd)
    yield client
    client.close()


@pytest.fixture(scope="session")
def newer_docker(
    tmp_path_factory: pytest.TempPathFactory, containerd: Containerd
) -> Iterator[Docker]:
    """Of the next Debian: the machine's own, 20.10, is from before zstd layers."""
    home = tmp_path_factory.mktemp("newer-docker")
    tree = unpack("trixie", lambda _: ["docker.io"], home / "tree")
    daemon = tree / "usr/sbin/dockerd"
    client = Docker(home, containerd=containerd, name="newer-docker", daemon=daemon)
    yield client
    client.close()


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    client = Podman(tmp_path_factory.mktemp("podman"))
    yield client
    client.close()


@pytest.fixture(scope="session")
def newer_skopeo(tmp_path_factory: pytest.TempPathFactory) -> Skopeo:
    """Of the next Debian: the machine's own, 1.9, is from before the preference for zstd."""
    home = tmp_path_factory.mktemp("newer-skopeo")
    tree = unpack("trixie", lambda index: loaded(index, "skopeo", NOT_LOADED), home / "tree")
    return Skopeo(home, (*with_own_libraries(tree), str(tree / "usr/bin/skopeo")))


@pytest.fixture(scope="session")
def newer_podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewerPodman]:
    client = NewerPodman(tmp_path_factory.mktemp("newer-podman"))
    yield client
    client.close()


@pytest.fixture(params=["skopeo", "containerd", "docker", "newer_docker", "podman"])
def client(request: pytest.FixtureRequest) -> Client:
    """Every real client in turn."""
    client: Client = request.getfixturevalue(request.param)
    return client


@pytest.fixture(scope="session")
def packages() -> Path:
    """Debian's packages for Nix, made ready; a moment when an earlier run has done it."""
    return _prepared()


@pytest.fixture(scope="session")
def full_packages() -> Path:
    """All attributes, about 170: a download of more than a gigabyte, once."""
    return _prepared("--full", "--system=x86_64-linux")


def _prepared(*options: str) -> Path:
    generate = ROOT / "nix" / "debian" / "generate.py"
    prepare = (sys.executable, str(generate), "prepare", *options)
    return Path(succeed(*prepare, timeout=1800).strip())


@pytest.fixture(scope="session")
def salted_packages(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small set with tests/nix/packages over it: their builds are new in each session."""
    return _salted(packages, tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def salted_full_packages(full_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same over the full set."""
    return _salted(full_packages, tmp_path_factory.mktemp("full-packages"))


def _salted(packages: Path, directory: Path) -> Path:
    gates = directory / "gates"
    gates.mkdir()
    package_set = directory / "set"
    package_set.mkdir()
    (package_set / "default.nix").write_text(
        f"arguments: import {ROOT}/tests/nix/packages (arguments // {{\n"
        f'  debian = {packages};\n  salt = "{uuid.uuid4().hex}";\n  gates = "{gates}";\n}})\n'
    )
    return package_set


@pytest.fixture
def held_build(salted_packages: Path) -> Iterator[HeldBuild]:
    """A build of ``salted_packages`` that lasts until the test releases it, or ends."""
    build = HeldBuild(salted_packages.with_name("gates"))
    yield build
    build.release()


@pytest.fixture
def new_server(packages: Path, tmp_path: Path) -> Iterator[ServerFactory]:
    """Makes servers, each with an empty storage of its own; they are stopped at the end."""
    yield from _factory(packages, tmp_path)


@pytest.fixture(scope="module")
def module_server(
    packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerFactory]:
    """The same, for servers that all tests of a module share."""
    yield from _factory(packages, tmp_path_factory.mktemp("servers"))


@pytest.fixture(scope="session")
def server(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that only pull."""
    for make in _factory(packages, tmp_path_factory.mktemp("registry")):
        yield make()


def _factory(packages: Path, home: Path) -> Iterator[ServerFactory]:
    numbers, owner = itertools.count(), current_owner()
    with ExitStack() as servers:

        def make(packages: Path = packages, **settings: str) -> Server:
            server = Server(home / f"server-{next(numbers)}", packages, **settings)
            server.owner = owner
            servers.callback(server.stop)
            return server.start()

        yield make


# The last one changes daily, and may be broken on a day.
@pytest.fixture(
    scope="session", params=["own", "trixie", pytest.param("sid", marks=pytest.mark.full)]
)
def every_nix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewerNix:
    """This machine's Nix and later ones in turn, each with a store of its own."""
    directory = tmp_path_factory.mktemp(f"nix-{request.param}")
    return own_nix(directory) if request.param == "own" else unpack_nix(request.param, directory)


@pytest.fixture
async def make_door(tmp_path: Path) -> AsyncIterator[MakeDoor]:
    """Opens sources behind real doors to Nix, by their definitions' settings."""
    async with doors() as make:
        yield partial(make, tmp_path)


@pytest.fixture
def lookup(make_door: MakeDoor) -> Door:
    """Packages of every kind of name, which are never built."""
    return make_door(location=SMALL / "lookup.nix")
