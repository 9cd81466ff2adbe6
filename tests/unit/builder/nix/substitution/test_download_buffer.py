"""Downloads in memory and in files."""

from pathlib import Path

from app.builder.nix.substitution.download_buffer import DownloadBuffer

PART = bytes(range(256)) * 64


def read_all(buffer: DownloadBuffer) -> bytes:
    body = b""
    while part := buffer.read(10_000, len(body)):
        body += part
    return body


def test_a_small_file_stays_in_memory(tmp_path: Path) -> None:
    buffer = DownloadBuffer(tmp_path / "downloads")

    assert not buffer.write(PART)
    assert (buffer.size, buffer.readable) == (len(PART), 0)
    buffer.finish()

    assert buffer.readable == len(PART)
    assert read_all(buffer) == PART
    buffer.close()
    assert not (tmp_path / "downloads").exists()


def test_a_large_file_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    buffer = DownloadBuffer(tmp_path)
    parts = 0
    while not buffer.write(PART):
        parts += 1
    written = buffer.readable
    assert buffer.read(written, 0) == PART * (parts + 1)

    buffer.write(b"end")
    assert buffer.readable == written
    buffer.finish()

    assert read_all(buffer) == PART * (parts + 1) + b"end"
    assert list(tmp_path.iterdir()) == []
    buffer.close()


def test_another_cache_begins_with_an_empty_file(tmp_path: Path) -> None:
    buffer = DownloadBuffer(tmp_path)
    while not buffer.write(PART):
        pass

    buffer.clear()
    buffer.write(b"other")
    buffer.finish()

    assert read_all(buffer) == b"other"
    buffer.close()
