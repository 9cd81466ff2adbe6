"""The server installed from its wheel, without the source tree."""

import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import Skopeo, pull
from tests.e2e.process import Process, succeed
from tests.e2e.server import ROOT

pytestmark = pytest.mark.e2e

UV = shutil.which("uv") or str(ROOT / ".state" / "uv" / "bin" / "uv")
LISTENING = re.compile(r"listening on http://[^\s\"]*?:(\d+)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the source distribution, as for PyPI."""
    directory = tmp_path_factory.mktemp("dist")
    succeed(UV, "build", "--quiet", "--out-dir", str(directory), str(ROOT), timeout=600)
    [wheel] = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def nixery(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command, in an environment that has nothing else."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    succeed(UV, "venv", "--quiet", "--python", sys.executable, str(environment))
    python = environment / "bin" / "python"
    succeed(UV, "pip", "install", "--quiet", "--python", str(python), str(wheel), timeout=600)
    return environment / "bin" / "nixery"


@pytest.fixture
def settings(nixery: Path, packages: Path, tmp_path: Path) -> dict[str, str]:
    """None on the release of Debian that the committed locks fit."""
    directory = Path(succeed("env", "-C", str(tmp_path), str(nixery), "prepare").strip())
    own = directory.is_relative_to(nixery.parents[1])
    return {} if own else {"NIXERY_PKGS_PATH": str(directory)}


@contextmanager
def serving(home: Path, *command: str, directory: Path, **settings: str) -> Iterator[str]:
    """The address of a server that is started in this directory, with default settings."""
    home.mkdir()
    process = Process(
        ("env", "-C", str(directory), *command),
        log=home / "log",
        env={"XDG_STATE_HOME": str(home), "NIXERY_PORT": "0", **settings},
    )
    try:
        process.wait_until(lambda: LISTENING.search(process.log) is not None)
        found = LISTENING.search(process.log)
        assert found
        yield f"localhost:{found[1]}"
    finally:
        process.stop()


def digest(address: str, name: str) -> str:
    url = f"http://{address}/v2/{name}/manifests/latest"
    response = httpx.head(url, timeout=60, follow_redirects=True)
    assert response.status_code == 200
    return response.headers["docker-content-digest"]


def test_the_wheel_has_every_expression_and_the_generator(wheel: Path) -> None:
    tracked = succeed("git", "-C", str(ROOT), "ls-files", "nix").split()

    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("app/nix/")}
        for name in tracked:
            assert archive.read(f"app/{name}") == (ROOT / name).read_bytes()

    assert packed == {f"app/{name}" for name in tracked}


def test_an_installed_server_is_ready_and_pulls_the_image_of_a_source_tree(
    nixery: Path, settings: dict[str, str], skopeo: Skopeo, tmp_path: Path
) -> None:
    with serving(tmp_path / "installed", str(nixery), directory=tmp_path, **settings) as address:
        ready = httpx.get(f"http://{address}/readyz", timeout=300)
        pull(skopeo, f"{address}/jq/jq:latest")
        output = skopeo.run(f"{address}/jq/jq:latest", "jq", "-n", "40 + 2")
        installed = digest(address, "jq")

    assert ready.status_code == 200, ready.text
    assert output == "42\n"
    tree = (sys.executable, "-m", "app")
    with serving(tmp_path / "tree", *tree, directory=ROOT, **settings) as address:
        assert digest(address, "jq") == installed
