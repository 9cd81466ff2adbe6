"""``nixery push`` into the fake registry of unit tests, and into Docker's own."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.commands import cli, push
from app.oci import Digest, MediaType
from app.state import AppState, WaitPolicy
from tests.api.registry import new_registry
from tests.e2e.docker_registry import serving_docker_registry
from tests.fakes.registry import PASSWORD, USER, serving_registry

AUTH = (USER, PASSWORD)


@dataclass
class World:
    """A registry and a server for pushes.

    ``host`` is where images go; ``architectures`` those of the images of the next push.
    """

    host: str
    architectures: tuple[str, ...] = ()

    @asynccontextmanager
    async def services(self) -> AsyncIterator[AppState]:
        registry = new_registry(WaitPolicy(redirect_seconds=1, redirects=1, hold_seconds=1))
        registry.images.architectures = self.architectures
        yield registry.state

    def manifest(self, repository: str, reference: str) -> httpx.Response:
        accept = {"accept": f"{MediaType.OCI_MANIFEST}, {MediaType.OCI_INDEX}"}
        url = f"http://{self.host}/v2/{repository}/manifests/{reference}"
        return httpx.get(url, headers=accept, auth=AUTH, timeout=300).raise_for_status()


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.e2e)])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "real":
        home = tmp_path_factory.mktemp("registry") / "home"
        with serving_docker_registry(home, password=True) as address:
            yield address
    else:
        with serving_registry() as fake:
            fake.authentication = "basic"
            yield fake.url.removeprefix("http://")


@pytest.fixture
def world(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    world = World(host)
    monkeypatch.setattr(push, "services", world.services)
    return world


def run(*arguments: str) -> int:
    return cli.run(["push", *arguments], serve=lambda: None)


@pytest.mark.slow
def test_image_has_its_digest_and_is_not_sent_twice(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("git/htop:v1.0", f"{world.host}/team/tools", "--json") == 0
    assert run("git/htop:v1.0", f"{world.host}/team/tools:other", "--json") == 0

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["sent"], first["present"]) == (2, 0)
    assert (second["sent"], second["present"], second["bytes_sent"]) == (0, 2, 0)
    for reference in ("v1.0", "other", first["digest"]):
        pushed = world.manifest("team/tools", reference)
        assert str(Digest.of(pushed.content)) == first["digest"] == second["digest"]


@pytest.mark.slow
def test_index_is_pushed_with_its_images(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.architectures = ("amd64", "arm64")

    assert run("git", f"{world.host}/indexed") == 0

    pushed = world.manifest("indexed", "latest")
    assert pushed.headers["content-type"] == MediaType.OCI_INDEX
    assert str(Digest.of(pushed.content)) in capsys.readouterr().out
    children = [one["digest"] for one in pushed.json()["manifests"]]
    assert len(children) == 2
    for child in children:
        assert str(Digest.of(world.manifest("indexed", child).content)) == child


@pytest.mark.slow
def test_wrong_password_is_one_line(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", "/missing")

    assert run("git", f"{world.host}/team/tools") == 1

    err = capsys.readouterr().err
    assert "denies access to team/tools with no user: run docker login" in err
    assert "Traceback" not in err
