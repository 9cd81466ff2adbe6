"""Builds of commands: what they show on standard error."""

import asyncio

import pytest

from app.commands import pulling
from app.commands.terminal import ProgressLine
from app.reference import ImageReference
from app.state import WaitPolicy
from tests.api.registry import new_registry


async def test_a_build_shows_its_stage_and_each_warning_as_one_printable_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ProgressLine, "is_due", lambda _: True)
    monkeypatch.setattr(pulling, "_INTERVAL_SECONDS", 0.01)
    registry = new_registry(WaitPolicy(redirect_seconds=20, redirects=3, hold_seconds=900))
    registry.images.warnings = ('two packages have "a\r\n\x1b[31m"', "second")
    finish = registry.images.slow.setdefault("sleepy", asyncio.Event())
    build = asyncio.create_task(
        pulling.build_image(registry.state, ImageReference.parse("sleepy", "latest"))
    )
    shown = ""
    while "sleepy: realising sleepy, " not in shown:
        await asyncio.sleep(0.01)
        shown += capsys.readouterr().err
    finish.set()

    await build

    warnings = capsys.readouterr().err.splitlines()[-2:]
    assert warnings == ['warning: two packages have "a "', "warning: second"]
