"""The command line itself: help, exit statuses, and the imports of a server."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from app.commands import cli
from app.commands.verbs import app

VERBS = tuple(get_group(app).commands)


def run(*arguments: str) -> int:
    def serve() -> None:
        raise AssertionError("this command line runs no server")

    return cli.run(arguments, serve=serve)


def test_server_runs_by_default_and_by_its_verb() -> None:
    served: list[str] = []

    assert cli.run([], serve=lambda: served.append("default")) == 0
    assert cli.run(["serve"], serve=lambda: served.append("verb")) == 0
    assert served == ["default", "verb"]


@pytest.mark.parametrize("arguments", [[], ["serve"]])
@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (SystemExit(3), 3), (SystemExit("reason"), 1)],
)
def test_exit_status_of_a_server(
    arguments: list[str], error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve() -> None:
        raise error

    assert cli.run(arguments, serve=serve) == status
    assert capsys.readouterr().err == ("reason\n" if status == 1 else "")


def test_ctrl_c_while_the_verbs_are_imported_has_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "app.commands.verbs":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "app.commands.verbs")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])

    assert run("config") == 130


# A library that catches the exception of Ctrl-C while it is imported.
CAREFUL = """
import signal, sys

class Careful:
    def find_spec(self, name, *_):
        if name == MODULE:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                print("caught")

MODULE = sys.argv.pop()
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Careful())
from app.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "module"),
    [("serve", "app.commands.serve"), ("config", "app.commands.verbs"), ("config", "typer")],
)
def test_ctrl_c_ends_a_command_whatever_libraries_do_while_they_are_imported(
    verb: str, module: str
) -> None:
    # Settings that end a server at its start, if the signal does not.
    settings = {"NIXERY_PORT": "none"}

    done = subprocess.run(
        [sys.executable, "-c", CAREFUL, verb, module],
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.slow
def test_ctrl_c_before_the_event_loop_runs_ends_a_server(tmp_path: Path) -> None:
    script = """
import signal
import app.commands.serve
signal.signal(signal.SIGINT, signal.default_int_handler)
app.commands.serve.listen = lambda *_: signal.raise_signal(signal.SIGINT)
from app.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"NIXERY_STATE_PATH": str(tmp_path), "NIXERY_STORAGE": "memory"},
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == -signal.SIGINT


@pytest.mark.slow
def test_server_without_channels_does_not_import_libraries_that_it_does_not_use() -> None:
    program = """
import sys
from app.commands import cli
import app.commands.serve, app.main
cli.run([], serve=lambda: None)
loaded = {name for name, module in sys.modules.items() if module is not None}
assert not {"typer", "rich", "httpx", "google", "pydantic.v1"} & loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_routes_leave_an_imported_first_version_of_pydantic_alone() -> None:
    program = """
import sys, warnings
warnings.simplefilter("ignore")
import pydantic.v1
import app.routers.register
assert sys.modules["pydantic.v1"] is pydantic.v1
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_help_lists_every_verb_with_a_whole_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0

    out = capsys.readouterr().out
    lines = [line.strip() for line in out.splitlines()]
    listed = [line for line in lines if line.partition(" ")[0] in VERBS]
    assert len(listed) == len(VERBS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)
    assert "Exit status: 0 success" in out


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verb, "--help") == 0

    assert f"Usage: nixery {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["sevre"], ["--prot"], ["verify", "--all"]])
def test_wrong_usage_has_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2

    assert "nixery" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_verbs(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_WORDS", "nixery pop")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "nixery pop")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_NIXERY_COMPLETE", f"complete_{shell}")

    assert run() == 0

    assert "popcount" in capsys.readouterr().out
