"""Flakes that cannot be evaluated, with each Nix: the client gets a reason, and Nix's own text."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.door import SYSTEM
from tests.e2e.newer_nix import NewerNix, unpack_nix
from tests.e2e.process import SYSTEM_PATH
from tests.e2e.server import Server
from tests.e2e.sourceservers import manifest, message
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

OUTPUTS = f'outputs = {{ self, ... }}: {{ packages.{SYSTEM}.x = throw "thrown by the flake"; }};'
ABSENT = "1" * 40
# By source: the input "lib", a lock file, and the reason that the client gets.
FLAKES = {
    "throws": ("", "", "x: thrown by the flake"),
    "branch": (
        'inputs.lib.url = "git+file://REPOSITORY?ref=gone";',
        "",
        "its input lib cannot be fetched: it has no such branch, tag or commit",
    ),
    "commit": (
        f'inputs.lib.url = "git+file://REPOSITORY?ref=main&rev={ABSENT}";',
        "",
        "its input lib cannot be fetched: it has no such branch, tag or commit",
    ),
    "plain": (
        'inputs.lib.url = "git+file://REPOSITORY";',
        "",
        "is not a flake: it has no flake.nix (flake = false may be missing)",
    ),
    "lock-text": ('inputs.lib.url = "git+file://REPOSITORY";', "text", "its flake.lock is invalid"),
    "lock-list": ('inputs.lib.url = "git+file://REPOSITORY";', "[]", "its flake.lock is invalid"),
    "lock-version": (
        "",
        '{"nodes": {"root": {}}, "root": "root", "version": 99}',
        "has unsupported version 99",
    ),
}


@pytest.fixture(
    scope="module", params=["2.8", "trixie", pytest.param("sid", marks=pytest.mark.full)]
)
def nix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewerNix:
    if request.param == "2.8":
        return NewerNix(SYSTEM_PATH, ())
    return unpack_nix(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def server(nix: NewerNix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("flakes")
    library = Repository(home / "library")
    library.commit("not a flake")
    settings = home / "nixery.toml"
    settings.write_text("\n".join(_source(home, name, library) for name in FLAKES))
    server = Server(
        home / "server", home, within=nix.within, PATH=nix.path, NIXERY_CONFIG=str(settings)
    )
    del server.environment["NIXERY_PKGS_PATH"]
    yield server.start()
    server.stop()


def _source(home: Path, name: str, library: Repository) -> str:
    inputs, lock, _ = FLAKES[name]
    flake = Repository(home / name)
    if lock:
        (flake.path / "flake.lock").write_text(lock)
    text = f"{{ {inputs} {OUTPUTS} }}".replace("REPOSITORY", str(library.path))
    flake.commit(text, "flake.nix")
    default = "default = true\n" if name == "throws" else ""
    return (
        f'[[sources]]\nname = "{name}"\nkind = "flake"\nlocation = "{flake.url}"\n'
        f"substituters = []\n{default}"
    )


@pytest.mark.parametrize("name", FLAKES)
def test_client_gets_the_reason(server: Server, name: str) -> None:
    response = manifest(server, f"{name}/x")

    assert response.status_code == 403, response.text
    assert FLAKES[name][2] in message(response)
