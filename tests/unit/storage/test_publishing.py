"""Objects get their names, or leave nothing behind."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from app.storage import spool
from app.storage.content_check import ContentCheck
from app.storage.directories import Directories
from app.storage.objects import Objects
from app.storage.publishing import Publisher
from app.storage.spool import buffered

BODY = b"the right bytes"
ATTEMPT = spool.attempt
KEY = f"blobs/sha256/{hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    objects = Objects(tmp_path)
    publisher = Publisher(tmp_path, objects=objects, content=ContentCheck(objects))
    publisher.prepare()
    return publisher


def damaged(root: Path) -> Path:
    path = root / KEY
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other bytes")
    return path


def test_a_damaged_object_is_replaced_after_the_staging_directory_was_removed(
    publisher: Publisher, tmp_path: Path
) -> None:
    path = damaged(tmp_path)
    with buffered(publisher.spool()) as file:
        file.write(BODY)
        shutil.rmtree(tmp_path / ".staging")

        publisher.adopt(KEY, file)

    assert path.read_bytes() == BODY
    assert list((tmp_path / ".staging").iterdir()) == []


def age(root: Path) -> None:
    """Set the times of unfinished files back, as if their processes had been stopped for hours."""
    for path in (root / ".staging").iterdir():
        os.utime(path, (0, 0))


@pytest.mark.parametrize("new_spool", [spool.unnamed, spool.named])
def test_a_file_that_was_not_written_to_for_an_hour_survives_the_start_of_another_server(
    publisher: Publisher, tmp_path: Path, new_spool: spool.NewSpool
) -> None:
    publisher._new_spool = new_spool
    left = tmp_path / ".staging" / f"spool-{'0' * 32}"
    left.touch()
    with buffered(publisher.spool()) as file:
        file.write(BODY)
        age(tmp_path)
        Publisher(tmp_path, objects=publisher._objects, content=publisher._content).prepare()
        assert not left.exists()

        publisher.adopt(KEY, file)

    assert (tmp_path / KEY).read_bytes() == BODY
    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_check_succeeds_beside_the_start_of_a_server_whose_clock_is_ahead(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = spool.link

    def swept(file: spool.SpoolFile, target: Path) -> None:
        link(file, target)
        age(tmp_path)
        spool.prepare(tmp_path / ".staging")

    with monkeypatch.context() as between:
        between.setattr(spool, "attempt", lambda *_, **__: None)
        between.setattr(spool, "link", swept)
        ATTEMPT(publisher._new_spool, tmp_path / ".staging")

    publisher.check()


def test_a_failed_replacement_leaves_no_file(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Directories, path: Path, **__: bool) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    (tmp_path / KEY).mkdir(parents=True)
    monkeypatch.setattr(Directories, "set_aside", fail)

    with pytest.raises(OSError, match="Input/output"):
        publisher.write(KEY, BODY)

    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_written_blob_is_not_hashed_again(publisher: Publisher, tmp_path: Path) -> None:
    publisher.write(KEY, BODY)

    assert publisher._content.known_size(KEY) == len(BODY)
    assert (tmp_path / KEY).read_bytes() == BODY
