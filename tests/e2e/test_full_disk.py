"""On a full disk stored images are served and others fail with a reason, until there is room."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.server import ServerFactory
from tests.e2e.test_crash import assert_whole
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """16 MB: enough for one small image."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture
def servers(disk: Path, new_server: ServerFactory) -> ServerFactory:
    """Stopped before their disk goes."""
    assert disk.is_dir()
    return new_server


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_is_reported_leaves_no_files_and_recovers_with_space(
    disk: Path, servers: ServerFactory
) -> None:
    storage = disk / "storage"
    server = servers(NIXERY_STORAGE_PATH=str(storage), NIXERY_FAILURE_SECONDS="1")
    stored = server.digest("hello")

    answer = server.get("/v2/shell/jq/manifests/latest")

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    (error,) = answer.json()["errors"]
    assert error["code"] == "UNAVAILABLE"
    assert "storage is full; its operator has to free or add space" in error["message"]
    # A layer of the failed build may be open still, and the record of recent images be written:
    # its space is free when the server is gone.
    server.stop()
    assert_whole(storage)
    assert list((storage / ".staging").iterdir()) == []
    filler = fill(disk)
    server.start()

    assert server.digest("hello") == stored
    assert server.get("/v2/jq/manifests/latest").status_code == 503
    assert server.get("/readyz").status_code == 503
    assert server.get("/healthz").status_code == 200

    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)

    assert server.digest("shell/jq")
    assert_whole(storage)
    server.stop()


def take_every_name(disk: Path) -> Path:
    """A disk may have bytes and no room for another file: so has one whose quota is used up."""
    names = disk / "names"
    names.mkdir()
    with suppress(OSError):
        for number in range(10_000):
            (names / str(number)).touch()
    return names


def test_a_full_state_directory_is_reported_and_recovers_with_space(
    disk: Path, servers: ServerFactory
) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=500", disk], check=True)
    server = servers(NIXERY_STATE_PATH=str(disk / "state"), NIXERY_FAILURE_SECONDS="1")
    stored = server.digest("hello")
    assert server.get("/readyz").status_code == 200
    server.stop()
    names = take_every_name(disk)
    server.start()

    assert server.digest("hello") == stored
    answer = server.get("/v2/jq/manifests/latest")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    (error,) = answer.json()["errors"]
    assert error["code"] == "UNAVAILABLE"
    assert "state directory is full; its operator has to free or add space" in error["message"]
    assert str(disk) not in answer.text
    ready = server.get("/readyz")
    assert ready.status_code == 503
    problems = {check["name"]: check["problem"] for check in ready.json()["checks"]}
    assert "state directory is full" in problems.pop("state")
    assert set(problems.values()) == {""}
    assert not re.search(r"Traceback|internal error", server.complete_log())

    shutil.rmtree(names)

    # The failure is cached for a second.
    wait_until(lambda: server.get("/v2/jq/manifests/latest").status_code == 200)
    server.stop()  # what is ready is remembered for longer
    server.start()
    assert server.get("/readyz").status_code == 200
    server.stop()
