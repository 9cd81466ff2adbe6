import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.builder.nix.binary_cache.known import KnownNarInfos, KnownUnusable
from app.builder.nix.binary_cache.narinfo import NarInfo
from tests.unit.builder.images.layering.closures import store_path

CACHE = "https://cache.example.org"
LIBC = NarInfo(store_path("libc-1"), 30, ())
GIT = NarInfo(store_path("git-2.39"), 40, (store_path("libc-1"), store_path("git-2.39")))


def test_what_was_written_is_known_to_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "new" / "narinfos.sqlite"
    with KnownNarInfos.open(file, cache=CACHE) as known:
        known.write([GIT, LIBC])

    with KnownNarInfos.open(file, cache=CACHE) as known:
        found = known.read([GIT.path.hash_part, store_path("unknown-1").hash_part])

    assert found == {GIT.path.hash_part: GIT}


@pytest.mark.slow
def test_more_are_read_than_a_query_has_parameters(tmp_path: Path) -> None:
    many = [NarInfo(store_path(f"p{i}-1"), i + 1, ()) for i in range(3000)]
    with KnownNarInfos.open(tmp_path / "narinfos.sqlite", cache=CACHE) as known:
        known.write(many)

        assert known.read(n.path.hash_part for n in many) == {n.path.hash_part: n for n in many}


def test_a_full_disk_is_reported_and_what_was_written_is_known(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    with KnownNarInfos.open(file, cache=CACHE) as known:
        known.write([GIT])
        # SQLite has the same error for this limit and for a full disk.
        known._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(KnownUnusable, match=r"narinfos.sqlite: database or disk is full"):
            known.write(NarInfo(store_path(f"p{i}-1"), 1, ()) for i in range(3000))

        assert known.read([GIT.path.hash_part, store_path("p1-1").hash_part]) == {
            GIT.path.hash_part: GIT
        }


def test_a_file_that_is_damaged_while_it_is_used_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    with KnownNarInfos.open(file, cache=CACHE) as known:
        known.write([GIT])
        file.write_bytes(bytes(file.stat().st_size))
        with pytest.raises(KnownUnusable, match="delete it or name another file"):
            KnownNarInfos.open(file, cache=CACHE)
        with pytest.raises(KnownUnusable, match="delete it or name another file"):
            known.write([LIBC])


def test_two_processes_may_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    with (
        KnownNarInfos.open(file, cache=CACHE) as one,
        KnownNarInfos.open(file, cache=CACHE) as other,
    ):
        one.write([GIT])
        other.write([GIT, LIBC])

        assert len(one.read([GIT.path.hash_part, LIBC.path.hash_part])) == 2


def test_caches_that_share_a_file_have_separate_narinfos(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    other_git = NarInfo(GIT.path, 50, ())
    with (
        KnownNarInfos.open(file, cache=CACHE) as one,
        KnownNarInfos.open(file, cache="https://other.example.org") as other,
    ):
        one.write([GIT, LIBC])
        other.write([other_git])

        wanted = [GIT.path.hash_part, LIBC.path.hash_part]
        assert one.read(wanted) == {GIT.path.hash_part: GIT, LIBC.path.hash_part: LIBC}
        assert other.read(wanted) == {GIT.path.hash_part: other_git}


def test_rows_of_the_first_format_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE narinfos (hash TEXT, name TEXT, nar_size INT, refs TEXT)")
        connection.execute(
            "INSERT INTO narinfos VALUES (?, 'git-2.39', 1, '')", (GIT.path.hash_part,)
        )
        connection.execute("PRAGMA user_version = 1")

    with KnownNarInfos.open(file, cache=CACHE) as known:
        assert known.read([GIT.path.hash_part]) == {}
        known.write([GIT])
        assert known.read([GIT.path.hash_part]) == {GIT.path.hash_part: GIT}


def open_files(path: Path) -> list[str]:
    """Where this process has the file open; Python 3.13 warns of connections left open."""
    descriptors = Path("/proc/self/fd").iterdir()
    return [str(d) for d in descriptors if d.is_symlink() and d.readlink() == path]


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but other notes" * 100)

    with pytest.raises(KnownUnusable, match=r"notes\.txt"):
        KnownNarInfos.open(file, cache=CACHE)

    assert open_files(file) == []
    assert file.read_text().startswith("not a database")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "narinfos.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 7")
    connection.close()

    with pytest.raises(KnownUnusable, match="another version"):
        KnownNarInfos.open(file, cache=CACHE)

    assert open_files(file) == []
