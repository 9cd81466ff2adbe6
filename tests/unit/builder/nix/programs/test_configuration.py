"""The operator's settings of Nix are in files that only the server's user can read."""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs.configuration import NixConfiguration
from app.errors import StorageUnavailable
from app.system.directory_trees import remove_tree
from app.system.workers import Workers

CONFIG = "access-tokens = github.com=hunter2\nsubstituters = https://joe:hunter2@cache\n"
ENVIRONMENT = {"PATH": "/bin", "XDG_CONFIG_HOME": "/home/.config", "NIX_CONFIG": CONFIG}
CACHES = RealiseOptions("team", 1, build=True, substituters=("https://team",))
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from app.builder.nix.programs.configuration import NixConfiguration
from app.system.workers import Workers

async def main():
    configuration = NixConfiguration(
        environment={"NIX_CONFIG": "cores = 1"}, directory=Path(sys.argv[1]), workers=Workers(1)
    )
    await configuration.store()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def configuration_in(directory: Path, **variables: str) -> NixConfiguration:
    return NixConfiguration(
        environment={**ENVIRONMENT, **variables}, directory=directory, workers=Workers(2)
    )


def file_of(environment: dict[str, str]) -> Path:
    return Path(environment["XDG_CONFIG_HOME"]) / "nix" / "nix.conf"


async def test_only_the_user_of_the_server_can_read_the_file(tmp_path: Path) -> None:
    configuration = configuration_in(tmp_path)

    environment = await configuration.evaluation(restricted=False)

    file = file_of(environment)
    assert environment == {"PATH": "/bin", "XDG_CONFIG_HOME": str(file.parents[1])}
    assert file.read_text() == f"{CONFIG}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for directory in file.parents[:3]:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    await configuration.close()
    assert list(tmp_path.iterdir()) == []


async def test_each_program_gets_the_lines_it_needs(tmp_path: Path) -> None:
    configuration = configuration_in(tmp_path)

    untrusted = await configuration.evaluation(restricted=True)
    store = await configuration.store()
    realisation = await configuration.realisation(CACHES)

    assert untrusted == {"PATH": "/bin", "XDG_CONFIG_HOME": "/home/.config"}
    assert file_of(store).read_text().splitlines() == ["substituters = https://joe:hunter2@cache"]
    assert file_of(realisation).read_text().splitlines() == [
        "substituters = https://joe:hunter2@cache",
        "substituters = https://team",
    ]
    assert await configuration.store() == store
    await configuration.close()


async def test_without_settings_nothing_is_written(tmp_path: Path) -> None:
    configuration = configuration_in(tmp_path, NIX_CONFIG=" \n")

    assert await configuration.store() == {"PATH": "/bin", "XDG_CONFIG_HOME": "/home/.config"}
    await configuration.close()

    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_was_removed_is_written_again(tmp_path: Path) -> None:
    configuration = configuration_in(tmp_path)
    file = file_of(await configuration.store())
    text = file.read_text()
    file.unlink()

    assert file_of(await configuration.store()).read_text() == text
    await configuration.close()


async def test_a_cancelled_owner_removes_the_files_all_the_same(tmp_path: Path) -> None:
    opened: asyncio.Future[Path] = asyncio.get_running_loop().create_future()

    async def own() -> None:
        configuration = configuration_in(tmp_path)
        try:
            opened.set_result(file_of(await configuration.store()))
            await asyncio.Event().wait()
        except OSError as error:
            opened.set_exception(error)
        finally:
            await configuration.close()

    task = asyncio.create_task(own())
    await opened
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert opened.result().name == "nix.conf"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_next_start_removes_the_files_of_a_killed_server(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert len(list(tmp_path.iterdir())) == 2

    configuration_in(tmp_path).sweep()

    assert list(tmp_path.iterdir()) == []


async def test_a_state_directory_that_does_not_work_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageUnavailable, match="state directory"):
        await configuration_in(tmp_path / "file").store()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_build_user_cannot_read_the_file(tmp_path: Path) -> None:
    configuration = configuration_in(tmp_path)
    file = file_of(await configuration.store())
    read = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", str(file)]

    done = await asyncio.to_thread(subprocess.run, read, capture_output=True, check=False)

    assert done.returncode != 0
    assert b"denied" in done.stderr
    await configuration.close()


async def test_the_files_are_written_again_after_the_state_directory_was_emptied(
    tmp_path: Path,
) -> None:
    configuration = configuration_in(tmp_path)
    await configuration.evaluation(restricted=False)
    remove_tree(tmp_path)

    environment = await configuration.evaluation(restricted=False)

    file = file_of(environment)
    assert file.read_text() == f"{CONFIG}\n"
    # The next start removes it if this process is killed.
    assert file.parents[2].with_suffix(".lock").exists()
    await configuration.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("user", "store", "is_shown"),
    [(0, "daemon", True), (1000, "daemon", False), (1000, "local?root=/home/nix", True)],
)
async def test_settings_that_a_daemon_ignores_are_not_those_of_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, store: str, *, is_shown: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    variables = {"NIX_REMOTE": store, "NIX_CONFIG": "sandbox = true"}
    configuration = configuration_in(tmp_path, **variables)

    environment = await configuration.builders()

    assert environment["NIX_REMOTE"] == store
    assert "NIX_CONFIG" not in environment
    file = file_of(environment)
    assert (file.exists() and file.read_text() == "sandbox = true\n") is is_shown
    await configuration.close()


@pytest.mark.parametrize("is_writable", [True, False])
async def test_nix_uses_a_daemon_if_this_user_may_not_write_to_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_writable: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda *_: is_writable)
    configuration = configuration_in(tmp_path, NIX_CONFIG="sandbox = true")

    environment = await configuration.builders()

    assert file_of(environment).exists() is is_writable
    await configuration.close()
