"""Downloads in memory and in files."""

from pathlib import Path

import pytest

from app.builder.nix.substitution.download_buffer import DownloadBuffer
from app.builder.nix.substitution.download_files import DownloadFiles

PART = bytes(range(256)) * 64


def read_all(buffer: DownloadBuffer) -> bytes:
    body = b""
    while part := buffer.read(10_000, len(body)):
        body += part
    return body


def test_a_small_file_stays_in_memory(tmp_path: Path) -> None:
    buffer = DownloadBuffer(DownloadFiles(tmp_path / "downloads"))

    assert not buffer.write(PART)
    assert (buffer.size, buffer.readable) == (len(PART), 0)
    buffer.finish()

    assert buffer.readable == len(PART)
    assert read_all(buffer) == PART
    buffer.close()
    assert not (tmp_path / "downloads").exists()


def test_a_large_file_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    buffer = DownloadBuffer(DownloadFiles(tmp_path))
    parts = 0
    while not buffer.write(PART):
        parts += 1
    written = buffer.readable
    assert buffer.read(written, 0) == PART * (parts + 1)

    buffer.write(b"end")
    buffer.finish()

    assert read_all(buffer) == PART * (parts + 1) + b"end"
    assert list(tmp_path.iterdir()) == []
    buffer.close()


def test_another_cache_begins_with_an_empty_file(tmp_path: Path) -> None:
    buffer = DownloadBuffer(DownloadFiles(tmp_path))
    while not buffer.write(PART):
        pass

    buffer.clear()
    buffer.write(b"other")
    buffer.finish()

    assert read_all(buffer) == b"other"
    buffer.close()


def test_a_file_is_used_again_while_another_download_runs(tmp_path: Path) -> None:
    files = DownloadFiles(tmp_path)
    running, first = DownloadBuffer(files), DownloadBuffer(files)
    for buffer in (running, first):
        buffer.write(PART * 100)
    first.close()

    second = DownloadBuffer(files)
    second.write(PART * 20)
    second.finish()

    # What the file had before is not a part of the second download.
    assert read_all(second) == PART * 20
    second.close()
    running.close()


def test_files_are_closed_with_the_last_download(tmp_path: Path) -> None:
    files = DownloadFiles(tmp_path)
    one, other = files.take(), files.take()
    one.write(PART)

    files.put_back(one)
    assert files.take() is one
    files.put_back(one)
    assert not one.closed
    files.put_back(other)

    assert one.closed
    assert other.closed


def test_large_files_are_not_kept(tmp_path: Path) -> None:
    files = DownloadFiles(tmp_path)
    one, other = files.take(), files.take()
    one.truncate(1 << 30)

    files.put_back(one)

    assert one.closed
    files.put_back(other)


def test_a_directory_that_cannot_be_made_leaves_nothing_in_use(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    files = DownloadFiles(blocked)
    with pytest.raises(OSError, match="file"):
        files.take()
    blocked.unlink()

    only = files.take()
    files.put_back(only)

    assert only.closed
