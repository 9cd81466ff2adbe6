import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.builder.sources.fingerprint import Fingerprint
from tests.deep import deep
from tests.unit.builder.sources.git.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "tree")
    for directory in ("a", "a.b", "a-b", "deep/er"):
        (repository.path / directory).mkdir(parents=True)
        (repository.path / directory / "file").write_text(directory)
    (repository.path / "run").write_text("x")
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").symlink_to("nowhere")
    (repository.path / "empty").mkdir()
    (repository.path / os.fsdecode(b"bytes-\xff")).write_text("")
    repository.commit("{ }")
    return repository


def test_clean_checkout_has_the_tree_hash_of_git(repository: Repository) -> None:
    taken = Fingerprint(str(repository.path)).take()

    assert taken == repository.git("rev-parse", "HEAD^{tree}")


def test_file_has_the_blob_hash_of_git(repository: Repository) -> None:
    file = repository.path / "default.nix"

    assert Fingerprint(str(file)).take() == repository.git("rev-parse", "HEAD:default.nix")


def test_directories_without_end_are_an_error_of_the_source(tmp_path: Path) -> None:
    with deep(tmp_path / "deep", 1200) as directory:
        fingerprint = Fingerprint(str(directory))

        with pytest.raises(OSError, match="more than 200 levels of directories"):
            fingerprint.take()


def test_compiled_python_modules_are_ignored(repository: Repository) -> None:
    fingerprint = Fingerprint(str(repository.path))
    before = fingerprint.take()

    (repository.path / "a/__pycache__").mkdir()
    (repository.path / "a/__pycache__/module.pyc").write_bytes(b"compiled")

    assert fingerprint.take() == before


def relink(path: Path) -> None:
    (path / "link").unlink()
    (path / "link").symlink_to("elsewhere")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content of the same size": lambda path: (path / "a/file").write_text("A"),
    "mode": lambda path: (path / "run").chmod(0o644),
    "new file": lambda path: (path / "new").write_text(""),
    "file less": lambda path: (path / "a/file").unlink(),
    "name": lambda path: (path / "a/file").rename(path / "a/elif"),
    "link": relink,
    "ignored": lambda path: (path / ".gitignore").write_text("*"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_changes_the_hash(repository: Repository, change: str) -> None:
    fingerprint = Fingerprint(str(repository.path))
    before = fingerprint.take()

    CHANGES[change](repository.path)

    assert fingerprint.take() != before


def test_second_change_with_the_same_size_and_time_is_noticed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    fingerprint = Fingerprint(str(tmp_path))
    taken = set()
    for content in "abcdefghijklmnop":
        file.write_text(content)
        taken.add(fingerprint.take())

    assert len(taken) == 16


def test_unchanged_files_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    later = time.time_ns() + 10**12
    monkeypatch.setattr(time, "time_ns", lambda: later)
    fingerprint = Fingerprint(str(tmp_path))
    before = fingerprint.take()

    seen = dict(fingerprint._hashed)
    assert fingerprint.take() == before

    assert seen
    assert all(fingerprint._hashed[path] is kept for path, kept in seen.items())
