"""``uvicorn app.main:app``: the application under an ASGI server of the operator's choice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.ownership import start_process

pytestmark = pytest.mark.nix


def start(tmp_path: Path, **variables: str) -> subprocess.Popen[str]:
    return start_process(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "0"],
        cwd=Path(__file__).parents[2],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "NIXERY_STORAGE_PATH": str(tmp_path / "storage"),
            "NIXERY_STATE_PATH": str(tmp_path / "state"),
            **variables,
        },
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_plain_uvicorn_serves_the_registry_and_stops_in_order(tmp_path: Path) -> None:
    server = start(tmp_path)
    assert server.stderr is not None
    lines = []
    for line in server.stderr:
        lines.append(line)
        if "Uvicorn running on " in line:
            break
    address = lines[-1].partition("running on ")[2].split()[0]
    version = httpx.get(f"{address}/v2/", timeout=300)
    ready = httpx.get(f"{address}/readyz", timeout=300)
    settings = httpx.get(f"{address}/debug", timeout=300).json()["settings"]
    server.send_signal(signal.SIGTERM)
    rest = server.stderr.read()
    server.wait()

    assert (version.status_code, version.json()) == (200, {})
    assert {check["name"] for check in ready.json()["checks"]} >= {"storage", "state", "nix"}
    assert settings["NIXERY_STORAGE_PATH"] == "storage"
    assert server.returncode in (0, -signal.SIGTERM)
    assert "Application shutdown complete" in rest
    assert "Traceback" not in "".join(lines) + rest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"NIXERY_PROT": "1"}, "nixery: unknown setting: NIXERY_PROT"),
        ({"NIXERY_STORAGE_PATH": "/proc/nowhere"}, "/proc/nowhere"),
    ],
    ids=["settings", "storage"],
)
def test_plain_uvicorn_does_not_start_without_usable_services(
    tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    server = start(tmp_path, **variables)
    assert server.stderr is not None
    output = server.stderr.read()
    server.wait()

    assert server.returncode != 0
    assert message in output
