import sqlite3
from pathlib import Path

import pytest

from app.builder.nix.binary_cache.known import KnownNarInfos, KnownUnusable
from app.builder.nix.binary_cache.narinfo import NarInfo
from tests.unit.builder.images.layering.closures import store_path

LIBC = NarInfo(store_path("libc-1"), 30, ())
GIT = NarInfo(store_path("git-2.39"), 40, (store_path("libc-1"), store_path("git-2.39")))


def test_what_was_written_is_known_to_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "new" / "narinfos.sqlite"
    with KnownNarInfos.open(file) as known:
        known.write([GIT, LIBC])

    with KnownNarInfos.open(file) as known:
        found = known.read([GIT.path.hash_part, store_path("unknown-1").hash_part])

    assert found == {GIT.path.hash_part: GIT}


def test_more_are_read_than_a_query_has_parameters(tmp_path: Path) -> None:
    many = [NarInfo(store_path(f"p{i}-1"), i + 1, ()) for i in range(3000)]
    with KnownNarInfos.open(tmp_path / "narinfos.sqlite") as known:
        known.write(many)

        assert known.read(n.path.hash_part for n in many) == {n.path.hash_part: n for n in many}


def test_two_processes_may_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    with KnownNarInfos.open(file) as one, KnownNarInfos.open(file) as other:
        one.write([GIT])
        other.write([GIT, LIBC])

        assert len(one.read([GIT.path.hash_part, LIBC.path.hash_part])) == 2


def open_files(path: Path) -> list[str]:
    """Where this process has the file open; Python 3.13 warns of connections left open."""
    descriptors = Path("/proc/self/fd").iterdir()
    return [str(d) for d in descriptors if d.is_symlink() and d.readlink() == path]


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but somebody's notes" * 100)

    with pytest.raises(KnownUnusable, match=r"notes\.txt"):
        KnownNarInfos.open(file)

    assert open_files(file) == []
    assert file.read_text().startswith("not a database")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 7")
    connection.close()

    with pytest.raises(KnownUnusable, match="another version"):
        KnownNarInfos.open(file)

    assert open_files(file) == []
