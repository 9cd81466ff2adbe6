"""``nixery warm`` with tiny images."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.commands import cli, warm
from app.state import AppState, WaitPolicy
from tests.api.images import TinyImages
from tests.api.registry import new_registry


class World:
    """A command and its server.

    ``images`` are those of the last run; ``slow`` is a package of the next.
    """

    images: TinyImages
    slow = ""

    @asynccontextmanager
    async def services(self) -> AsyncIterator[AppState]:
        registry = new_registry(WaitPolicy(redirect_seconds=1, redirects=1, hold_seconds=1))
        self.images = registry.images
        if self.slow:
            release = self.images.slow[self.slow] = asyncio.Event()
            asyncio.get_running_loop().call_later(0.3, release.set)
        yield registry.state


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(warm, "services", world.services)
    return world


def run(*arguments: str) -> int:
    return cli.run(["warm", *arguments], serve=lambda: None)


def test_names_are_built_once_each(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("git", "htop:v1.0", "git") == 0

    captured = capsys.readouterr()
    assert sorted(world.images.builds) == ["git:latest", "htop:v1.0"]
    assert captured.out.startswith("git: sha256:")
    assert "2 images are built, 0 failed" in captured.err


def test_failed_name_does_not_stop_the_others(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names"
    names.write_text("# what we use\ngti\nBAD//name  # not a name\n\ngit\n")

    assert run("--json", "--file", str(names), "--at-once", "1") == 1

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["image"], line["state"]) for line in lines] == [
        ("gti", "failed"),
        ("BAD//name", "failed"),
        ("git", "built"),
    ]
    assert lines[0]["message"].startswith("no such package: gti")
    assert lines[2]["digest"].startswith("sha256:")


@pytest.mark.slow
def test_names_are_read_from_standard_input(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.slow = "git"
    monkeypatch.setattr("sys.stdin", io.StringIO("git\nhello\n"))
    monkeypatch.setattr("app.commands.terminal._LOG_SECONDS", 0)

    assert run("-f", "-") == 0

    assert "; git: realising git\n" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_file_that_cannot_be_read_is_an_error(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "names"
    if content is not None:
        path.write_bytes(content)

    assert run("--file", str(path)) == 1

    err = capsys.readouterr().err
    assert err.startswith(f"nixery warm: {path}")
    assert "Errno" not in err


def test_no_names_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2

    assert "give names" in capsys.readouterr().err
