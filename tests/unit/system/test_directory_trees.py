"""Directories of any depth: those that others made, so that their depth is not ours to choose."""

from pathlib import Path

from app.system.directory_trees import files_below, remove_tree
from tests.deep import deep

# More than Python's limit of recursion, and paths that are longer than the system accepts.
LEVELS = 2200


def test_a_deep_directory_is_walked_and_removed(tmp_path: Path) -> None:
    with deep(tmp_path / "deep", LEVELS) as directory:
        found = list(files_below(directory))

        assert 1500 < len(found) < LEVELS  # those that the system can name
        assert {path.name for path in found} == {"file"}
        assert sorted(files_below(directory, levels=2)) == [
            directory / "d" / "file",
            directory / "file",
        ]
        remove_tree(directory)
        assert list(tmp_path.iterdir()) == []


def test_links_and_their_targets_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    (tmp_path / "removed").mkdir()
    (tmp_path / "removed" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "removed" / "dangling").symlink_to("nowhere")

    remove_tree(tmp_path / "removed")

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").read_text() == "kept"


def test_a_missing_directory_is_not_an_error(tmp_path: Path) -> None:
    remove_tree(tmp_path / "missing")

    assert list(files_below(tmp_path / "missing")) == []
