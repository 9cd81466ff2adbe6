"""Objects get their names, or leave nothing behind."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from app.storage.content_check import ContentCheck
from app.storage.directories import Directories
from app.storage.objects import Objects
from app.storage.publishing import Publisher
from app.storage.spool import buffered

BODY = b"the right bytes"
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
