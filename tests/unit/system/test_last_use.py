"""The age of files, also after the clock was set back."""

import os
import time
from pathlib import Path

from app.system.last_use import last_use


def test_files_are_ordered_by_their_times(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))

    assert sorted(tmp_path.iterdir(), key=last_use) == [tmp_path / "old", tmp_path / "new"]


def test_a_time_that_is_still_to_come_is_the_oldest(tmp_path: Path) -> None:
    (tmp_path / "ahead").touch()
    os.utime(tmp_path / "ahead", (time.time() + 3600, time.time() + 3600))
    (tmp_path / "used").touch()

    assert last_use(tmp_path / "ahead") < last_use(tmp_path / "used")


def test_a_file_that_another_process_removed_is_the_oldest(tmp_path: Path) -> None:
    assert last_use(tmp_path / "removed") == 0
