"""A file is removed only if it is the one that was read."""

from pathlib import Path
from typing import BinaryIO

import pytest

from app.storage import removing
from app.storage.objects import Objects

KEY = "records/damaged"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / ".staging").mkdir()
    path = tmp_path / KEY
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    return path


def remove(path: Path) -> bool:
    root = path.parents[1]
    return removing.remove_if(Objects(root), KEY, lambda _: True, staging=root / ".staging")


def replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(b"whole")
    new.rename(path)


def staged(path: Path) -> list[Path]:
    return list((path.parents[1] / ".staging").iterdir())


def test_a_useless_file_is_removed(path: Path) -> None:
    assert remove(path)

    assert not path.exists()
    assert staged(path) == []


def test_a_file_that_was_replaced_while_it_was_read_stays(path: Path) -> None:
    def is_useless(_: BinaryIO | None) -> bool:
        replace(path)
        return True

    root = path.parents[1]
    assert not removing.remove_if(Objects(root), KEY, is_useless, staging=root / ".staging")

    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_was_replaced_before_it_is_moved_away_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    rename = Path.rename

    def rename_late(self: Path, target: Path) -> Path:
        if self == path:
            monkeypatch.undo()
            replace(path)
            rename(path, target)
            if again:
                replace(path)
            return target
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_late)

    assert not remove(path)

    assert path.read_bytes() == b"whole"
    assert staged(path) == []


def test_a_directory_is_not_removed(path: Path) -> None:
    path.unlink()
    path.mkdir()

    assert not remove(path)

    assert path.is_dir()
