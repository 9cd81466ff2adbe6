"""The specification's suite, of the whole server: git, Nix, and files that hold a built image."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conformance import Conformance, Image
from tests.e2e.server import Server, ServerFactory
from tests.unit.builder.sources.git.repository import Repository

pytestmark = pytest.mark.e2e

NAME = "team/shell/jq"
TAGS = ("latest", "main", "nixos-25.05")


@pytest.fixture(scope="module")
def server(
    packages: Path, module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """Of a repository, so that there are several tags."""
    home = tmp_path_factory.mktemp("team")
    repository = Repository(home / "upstream")
    repository.commit(f"arguments: import {packages} arguments")
    repository.git("branch", "nixos-25.05")
    settings = home / "settings.toml"
    settings.write_text(
        f'[[sources]]\nname = "team"\nkind = "git"\nlocation = "{repository.url}"\n'
    )
    return module_server(NIXERY_CONFIG=str(settings))


@pytest.fixture(scope="module")
def registry(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def image(server: Server) -> Image:
    digests = {server.digest(NAME, tag) for tag in TAGS}
    return Image(NAME, TAGS, *digests)


class TestServer(Conformance):
    pass
