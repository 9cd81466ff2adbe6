"""Directories that several processes make, and clear of other files, at the same time."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.storage.directories import Directories

PROCESSES = 4
ROUNDS = 100


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def store(root: Path) -> Directories:
    (root / ".staging").mkdir(parents=True, exist_ok=True)
    return Directories(root, root / ".staging")


@pytest.mark.usefixtures("frequent_switches")
@pytest.mark.parametrize("in_the_way", [False, True])
def test_servers_that_start_together_move_no_directory_of_each_other(
    tmp_path: Path, *, in_the_way: bool
) -> None:
    together = Barrier(PROCESSES)

    def store_object(root: Path, number: int) -> None:
        # Each has its own lock, as processes have.
        directories = store(root)
        together.wait()
        os.close(directories.opened(root / "blobs" / "sha256"))
        (root / "blobs" / "sha256" / str(number)).touch()

    with ThreadPoolExecutor(PROCESSES) as pool:
        for number in range(ROUNDS):
            root = tmp_path / str(number)
            root.mkdir()
            if in_the_way:
                (root / "blobs").touch()
            list(pool.map(store_object, [root] * PROCESSES, range(PROCESSES)))

            assert len(list((root / "blobs" / "sha256").iterdir())) == PROCESSES
            assert [path for path in (root / ".staging").iterdir() if path.is_dir()] == []


def test_a_directory_that_another_process_has_just_made_is_not_moved(tmp_path: Path) -> None:
    directories = store(tmp_path)
    (tmp_path / "blobs").mkdir()

    directories.set_aside(tmp_path / "blobs", is_directory=False)

    assert (tmp_path / "blobs").is_dir()
    assert list((tmp_path / ".staging").iterdir()) == []


def test_an_object_that_another_process_has_just_stored_is_not_moved(tmp_path: Path) -> None:
    directories = store(tmp_path)
    (tmp_path / "object").write_bytes(b"stored")

    directories.set_aside(tmp_path / "object", is_directory=True)

    assert (tmp_path / "object").read_bytes() == b"stored"
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.parametrize("is_directory", [False, True])
def test_what_is_gone_already_leaves_nothing_in_the_staging_directory(
    tmp_path: Path, *, is_directory: bool
) -> None:
    store(tmp_path).set_aside(tmp_path / "gone", is_directory=is_directory)

    assert list((tmp_path / ".staging").iterdir()) == []
