"""``nixery preview`` with tiny images."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from app.builder.builds.preview import ImagePreview, LacksArchitecture
from app.commands import cli, preview
from app.oci import Digest
from app.reference import ImageReference
from app.state import AppState, WaitPolicy
from tests.api.images import TinyImages
from tests.api.registry import new_registry


class World:
    images: TinyImages

    @asynccontextmanager
    async def services(self) -> AsyncIterator[AppState]:
        registry = new_registry(WaitPolicy(redirect_seconds=1, redirects=1, hold_seconds=1))
        self.images = registry.images
        yield registry.state


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(preview, "services", world.services)
    return world


def run(*arguments: str) -> int:
    return cli.run(["preview", *arguments], serve=lambda: None)


def test_sizes_places_and_layers_are_printed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("git/shell/hello") == 0

    assert capsys.readouterr().out.splitlines() == [
        "git/shell/hello:latest",
        "amd64: not stored",
        "  store paths   3: 1 packed, 1 in the Nix store, 1 in a binary cache",
        "  unpacked      3.00 kB",
        "  to download   300 B",
        "  layers        2; 0 of them stored",
        "  to build      0 derivations",
    ]
    assert world.images.builds == []


@pytest.mark.usefixtures("world")
def test_derivations_to_build_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("htop:v1.0") == 0

    out = capsys.readouterr().out
    assert "  unpacked      0 B at least" in out
    assert "  to build      1 derivations\n                htop.drv\n" in out
    assert "layers" not in out


@pytest.mark.usefixtures("world")
def test_json_is_the_document_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "git:v1.0") == 0

    plan = json.loads(capsys.readouterr().out)
    assert (plan["name"], plan["tag"], plan["source"]) == ("git", "v1.0", "tiny")
    assert plan["architectures"][0]["packages"][0]["place"] == "store"


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonesuch", "nixery preview: no such package: nonesuch"),
        ("BAD//name", "nixery preview: a repository name"),
        ("git:sha256:x", "nixery preview: "),
    ],
)
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str], name: str, message: str) -> None:
    assert run(name) == 1

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(message)


def test_a_stored_image_and_a_missing_architecture_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = Digest.of(b"x")

    async def found(_: object) -> ImagePreview:
        whole = World()
        async with whole.services() as state:
            job = state.images.preview(ImageReference.to_build("git"), "")
            built = await job.wait(None)
        assert built is not None
        (image,) = built.images
        lacking = LacksArchitecture("arm64", "no such package\x1b[31m")
        return replace(built, images=(replace(image, digest=digest),), lacking=(lacking,))

    monkeypatch.setattr(preview, "_preview", found)

    assert run("git") == 0
    out = capsys.readouterr().out
    assert f"amd64: stored, {digest}" in out
    assert out.splitlines()[-1].startswith("arm64: no such package")
    assert "\x1b" not in out
