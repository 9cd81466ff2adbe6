"""Commands whose streams are closed, full or missing, and completion in a real shell."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer

from app.commands import cli, standard_streams
from app.commands.failures import exit_on_errors
from app.commands.terminal import ProgressLine
from tests.ownership import start_process

ROOT = Path(__file__).parents[3]
NIXERY = [sys.executable, "-m", "app"]


def start(arguments: Sequence[str], home: Path, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401  # of Popen
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "NIXERY_STATE_PATH": str(home)}
    environment |= options.pop("variables", {})
    options.setdefault("stderr", subprocess.PIPE)
    return start_process([*NIXERY, *arguments], cwd=ROOT, env=environment, **options)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Return the exit status and standard error."""
    _, errors = process.communicate(timeout=240)
    return process.returncode, (errors or b"").decode()


@pytest.mark.slow
def test_a_reader_that_has_gone_ends_a_command_without_a_message(tmp_path: Path) -> None:
    commands = [["config"], ["config", "--json"], ["config", "--schema"], ["--help"], ["doctor"]]
    started = []
    for command in commands:
        reading, writing = os.pipe()
        os.close(reading)
        started.append(start(command, tmp_path, stdout=writing))
        os.close(writing)

    assert [ended(process) for process in started] == [(141, "")] * len(commands)


@pytest.mark.slow
def test_a_full_disk_and_a_closed_output_are_errors_with_a_message(tmp_path: Path) -> None:
    commands = [["config"], ["--help"], ["--version"], ["build", "--help"]]
    with Path("/dev/full").open("wb") as full:
        into_full = [start(command, tmp_path, stdout=full) for command in commands]
        without_messages = [
            start(command, tmp_path, stderr=full)
            for command in (["--nonsense"], ["watch", "builds/b1"])
        ]
    closed = start_process(
        ["sh", "-c", 'exec "$@" >&-', "sh", *NIXERY, "config"], cwd=ROOT, stderr=subprocess.PIPE
    )

    message = "nixery: cannot write to standard output: No space left on device\n"
    assert [ended(process) for process in into_full] == [(1, message)] * len(commands)
    assert [ended(process) for process in without_messages] == [(1, "")] * 2
    assert ended(closed) == (1, "nixery: standard output is closed\n")


@pytest.mark.slow
def test_a_command_without_standard_error_does_its_work(tmp_path: Path) -> None:
    command = ["sh", "-c", 'exec "$@" 2>&- <&-', "sh", *NIXERY, "config", "--json"]

    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)

    assert json.loads(done.stdout)


@pytest.mark.slow
def test_a_real_bash_completes_commands_and_options(tmp_path: Path) -> None:
    program = tmp_path / "nixery"
    program.write_text(f'#!/bin/sh\ncd {ROOT}\nexec {sys.executable} -m app "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(_NIXERY_COMPLETE=source_bash nixery)"
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nixery_completion nixery; echo "${COMPREPLY[@]}"; }
try nixery p
try nixery verify --
"""
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    verbs, options = done.stdout.splitlines()
    assert set(verbs.split()) == {"popcount", "plan", "prepare", "preview", "push"}
    assert {"--delete", "--json"} <= set(options.split())


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(tmp_path: Path, shell: str) -> None:
    variables = {"_NIXERY_COMPLETE": f"source_{shell}"}

    process = start([], tmp_path, stdout=subprocess.PIPE, variables=variables)
    script, _ = process.communicate(timeout=240)

    assert process.returncode == 0
    assert b"_NIXERY_COMPLETE=complete_" in script


class Closed(io.StringIO):
    """A terminal that was closed."""

    def isatty(self) -> bool:
        return True

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def test_progress_continues_without_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    line = ProgressLine(Closed())
    monkeypatch.setattr(sys, "stderr", Closed())

    line.show("building")
    line.clear()
    line.show("packing")
    line.end()
    standard_streams.report("done\n")


def test_only_the_reader_of_standard_output_ends_a_command_silently(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not standard_streams.is_output_closed(BrokenPipeError())
    assert not standard_streams.is_output_closed(OSError(5, "Input/output error"))


def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard output be a pipe without a reader."""
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writing, "w"))


def test_a_pipe_without_reader_is_found_and_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch)
    sys.stdout.write("lost")

    assert standard_streams.is_output_closed(BrokenPipeError())
    assert standard_streams.finish_output() == 141
    assert standard_streams.finish_output() == 0
    sys.stdout.close()


def test_an_expected_error_of_a_closed_pipe_has_no_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    piped(monkeypatch)
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)

    with pytest.raises(typer.Exit) as end, exit_on_errors("config", interrupted=""):
        raise BrokenPipeError(32, "Broken pipe")

    assert (end.value.exit_code, errors.getvalue()) == (141, "")
    sys.stdout.close()


def test_output_to_a_full_disk_is_reported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", os.fdopen(os.open("/dev/full", os.O_WRONLY), "w"))
    sys.stdout.write("lost")

    assert standard_streams.finish_output() == 1
    assert "No space left on device" in capfd.readouterr().err
    sys.stdout.close()


def test_typers_own_end_of_a_closed_pipe_has_the_same_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", object())

    assert standard_streams.was_output_replaced()


def test_missing_streams_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert standard_streams.open_missing()
    sys.stderr.write("into nothing")
    sys.stderr.close()
    monkeypatch.setattr(sys, "stdout", None)
    assert not standard_streams.open_missing()
    sys.stdout.close()


def test_a_command_without_standard_output_reports_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert cli.run(["config"], serve=lambda: None) == 1
    assert capfd.readouterr().err == "nixery: standard output is closed\n"
    sys.stdout.close()


def test_help_into_a_closed_pipe_ends_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch)
    output = sys.stdout

    assert cli.run(["--help"], serve=lambda: None) == 141
    with suppress(BrokenPipeError):
        output.close()


class FullDisk(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_help_that_cannot_be_written_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", FullDisk())

    assert cli.run(["--help"], serve=lambda: None) == 1

    assert capsys.readouterr().err == "nixery: cannot write: No space left on device\n"


def test_messages_that_cannot_be_written_are_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stderr", full)
        full.write("message")

        standard_streams.finish_errors()
        full.flush()
