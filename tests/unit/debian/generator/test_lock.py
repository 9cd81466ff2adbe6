import json
from pathlib import Path

import pytest

from nix.debian.generator.lock import LockUnreadable, read_lock, write_lock
from nix.debian.generator.setdir import TREE, SetDirectory

COMMITTED = [SetDirectory(TREE).lock(system) for system in ("x86_64-linux", "aarch64-linux")]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_lock_is_written_as_it_was_read(path: Path, tmp_path: Path) -> None:
    write_lock(read_lock(path), tmp_path / "locks/again.json")
    assert (tmp_path / "locks/again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_lock_contains_no_host_name(path: Path) -> None:
    assert "://" not in path.read_text()


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_references_within_a_lock_are_complete(path: Path) -> None:
    lock = read_lock(path)
    assert set(lock.attributes.values()) <= lock.units.keys()
    assert set(lock.build.runtime.debs) <= lock.debs.keys()
    for unit in lock.units.values():
        assert set(unit.dependencies) <= lock.units.keys()
        assert set(unit.debs) <= lock.debs.keys()


def test_both_committed_locks_build_with_the_same_runtime() -> None:
    one, other = (read_lock(path) for path in COMMITTED)
    assert one.build.runtime.store_path == other.build.runtime.store_path


def test_lock_of_another_format_is_rejected(tmp_path: Path) -> None:
    document = json.loads(COMMITTED[0].read_text()) | {"format": 0}
    (tmp_path / "old.json").write_text(json.dumps(document))
    with pytest.raises(LockUnreadable, match="make a new one"):
        read_lock(tmp_path / "old.json")
