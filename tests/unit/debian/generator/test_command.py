import os
import subprocess
import sys
from pathlib import Path

import pytest

from nix.debian.generator.cache import cache_directory, exclusive
from nix.debian.generator.nixstore import nix_environment
from nix.debian.generator.release import Release
from nix.debian.generator.setdir import TREE
from nix.debian.generator.workplace import read_host
from tests.ownership import start_process

GENERATE = TREE / "generate.py"


def generate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, GENERATE, *arguments],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def test_help_lists_the_commands() -> None:
    done = generate("--help")
    assert done.returncode == 0
    assert "prepare" in done.stdout


@pytest.mark.parametrize("arguments", [("prepare",), ("prepare", "--full"), ("seed", "LOCK")])
def test_without_nix_the_command_only_reports_what_to_install(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """Also on releases that the committed locks do not fit, where apt would run."""
    lock = str(TREE / "locks" / "x86_64-linux.json")
    arguments = tuple(lock if word == "LOCK" else word for word in arguments)
    done = generate(*arguments, PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "generate.py: Nix is not installed; on Debian: apt-get install nix-bin\n"
    assert done.stdout == ""


def test_missing_apt_is_reported(tmp_path: Path) -> None:
    done = generate("lock", str(tmp_path / "lock"), PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "generate.py: apt-get is not installed"
    assert "Traceback" not in done.stderr


def test_invalid_lock_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text("{}")
    done = generate("seed", str(tmp_path / "lock.json"), XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "not a lock of format" in done.stderr


def test_cache_is_in_the_cache_directory_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "nixery/package-set"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_directory() == Path("/home/someone/.cache/nixery/package-set")


def test_second_run_waits_for_the_first(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(TREE.parents[1])!r})\n"
        "from pathlib import Path\nfrom nix.debian.generator.cache import exclusive\n"
        f"with exclusive(Path({str(tmp_path)!r})): print('entered')"
    )
    with exclusive(tmp_path):
        second = start_process(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr
        assert "waiting for another run" in second.stderr.readline()
        assert second.poll() is None
    out, _ = second.communicate(timeout=300)
    assert out == "entered\n"


pytestmark = pytest.mark.slow


def test_nix_settings_of_the_user_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_CONFIG", "cores = 1")
    settings = nix_environment()["NIX_CONFIG"].splitlines()
    assert settings[:2] == ["cores = 1", "substitute = false"]


def test_host_is_read_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    (tmp_path / "etc/apt/sources.list").write_text("deb file:/mirror trixie main\n")
    host = read_host(tmp_path)
    assert host.release == Release("debian", "trixie")
    assert [source["URIs"] for source in host.sources] == ["file:/mirror"]
