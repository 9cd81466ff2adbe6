"""The command line itself: without a command, and its version."""

import pytest
from typer.testing import CliRunner

from app.commands.verbs import app
from app.telemetry.log import VERSION


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_the_registry_is_what_runs_without_a_command(arguments: list[str]) -> None:
    calls: list[str] = []

    result = CliRunner().invoke(app, arguments, obj=lambda: calls.append("serve"))

    assert result.exit_code == 0
    assert calls == ["serve"]


def test_the_version_is_printed_without_running_anything() -> None:
    calls: list[str] = []

    result = CliRunner().invoke(app, ["--version"], obj=lambda: calls.append("serve"))

    assert result.stdout == f"nixery {VERSION}\n"
    assert calls == []
