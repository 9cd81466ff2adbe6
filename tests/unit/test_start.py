"""A server that cannot start logs the reason in one sentence, and exits."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ownership import start_process


def start(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "NIXERY_PORT": "0",
            "NIXERY_STORAGE_PATH": str(tmp_path / "storage"),
            "NIXERY_STATE_PATH": str(tmp_path / "state"),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "status", "sentence"),
    [
        ({"NIXERY_PROT": "1"}, 1, "unknown setting: NIXERY_PROT"),
        ({"NIXERY_REDIRECTS": "99"}, 1, "NIXERY_REDIRECTS: "),
        ({"WEB_DIR": "/nowhere"}, 1, "NIXERY_WEB_DIR: "),
        (
            {"NIX_POPULARITY_URL": "http://localhost:1/popularity.json"},
            3,
            "cannot use the layer plan at http://localhost:1/popularity.json",
        ),
        ({"NIXERY_STORAGE_PATH": "/proc/nowhere"}, 3, "/proc/nowhere"),
        ({"NIXERY_STORAGE": "gcs"}, 1, "NIXERY_STORAGE=gcs needs NIXERY_GCS_BUCKET"),
        (
            {"NIXERY_STORAGE": "gcs", "GCS_BUCKET": "images", "NO_GCE_CHECK": "true"},
            3,
            "no Google credentials",
        ),
        ({"NIXERY_STORAGE": "memory", "PATH": "/nowhere"}, 3, "apt-get install nix-bin"),
        ({"NIXERY_STATE_PATH": "/proc/nowhere"}, 3, "cannot use the state directory /proc/nowhere"),
    ],
    ids=[
        "unknown setting",
        "out of bounds",
        "no pages",
        "popularity",
        "storage",
        "no bucket",
        "no credentials",
        "no Nix",
        "state directory",
    ],
)
def test_the_reason_is_one_line_without_a_traceback(
    variables: dict[str, str], status: int, sentence: str, tmp_path: Path
) -> None:
    done = start(tmp_path, **variables)

    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "app." not in done.stderr
    assert 'File "' not in done.stderr


@pytest.mark.slow
def test_a_nix_that_cannot_be_executed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "nix").touch()

    done = start(tmp_path, NIXERY_STORAGE="memory", PATH=str(tmp_path))

    assert done.returncode == 3
    assert "cannot start nix: Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


def start_with_files(tmp_path: Path, soft: int, hard: int) -> subprocess.Popen[str]:
    command = f"ulimit -Sn {soft}; ulimit -Hn {hard}; exec {sys.executable} -m app"
    return start_process(
        ["sh", "-c", command],
        env={
            "PATH": os.environ["PATH"],
            "NIXERY_PORT": "0",
            "NIXERY_STORAGE": "memory",
            "NIXERY_STATE_PATH": str(tmp_path / "state"),
        },
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_the_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    # Not every root may raise the machine's own limit.
    hard = min(3000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    server = start_with_files(tmp_path, 200, hard)
    assert server.stderr is not None
    output = server.stderr.readline()
    limits = Path(f"/proc/{server.pid}/limits").read_text()
    server.terminate()
    server.wait()

    assert "listening on" in output
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert line.split()[3:5] == [str(hard)] * 2


@pytest.mark.slow
def test_a_low_limit_of_open_files_is_reported(tmp_path: Path) -> None:
    server = start_with_files(tmp_path, 100, 100)
    assert server.stderr is not None
    output = server.stderr.readline()
    server.terminate()
    server.wait()

    assert "only 100 files and connections may be open at a time" in output
