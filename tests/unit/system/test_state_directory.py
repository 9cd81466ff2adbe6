"""Whether the state directory takes anything: seen by trying.  tests/e2e has a disk that is full."""

import errno
import os
from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.system.state_directory import attempt, explained, translate_state_errors


def test_a_directory_that_takes_a_file_keeps_none(tmp_path: Path) -> None:
    attempt(tmp_path / "state")

    assert list((tmp_path / "state").iterdir()) == []


def test_a_full_disk_is_reported_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageUnavailable, match="server's state directory is full") as raised:
        attempt(tmp_path)

    assert str(tmp_path) not in str(raised.value)


def test_a_name_without_a_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")

    for name in ("file", "file/below", "dangling", "dangling/below"):
        with pytest.raises(StorageUnavailable, match=r"does not work \(Not a directory\)"):
            attempt(tmp_path / name)


def test_the_operator_gets_the_directory_and_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(StorageUnavailable) as raised,
        explained(tmp_path / "file"),
        translate_state_errors(),
    ):
        (tmp_path / "file").mkdir()

    assert f"{tmp_path / 'file'} (Not a directory)" in raised.value.message
    assert "NIXERY_STATE_PATH" in raised.value.message
