"""The settings of storage become its backend."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.settings.settings import Settings
from app.storage import keys
from app.storage.filesystem import FilesystemStorage
from app.storage.memory import MemoryStorage
from app.wiring.storage import open_storage, storage_of


def settings(path: Path, **values: object) -> Settings:
    return Settings.model_validate({"pkgs_path": path, **values})


def test_a_directory_is_a_file_system(tmp_path: Path) -> None:
    found = storage_of(settings(tmp_path, storage="filesystem", storage_path=tmp_path / "s"))

    assert isinstance(found, FilesystemStorage)


def test_memory_needs_no_path(tmp_path: Path) -> None:
    assert isinstance(storage_of(settings(tmp_path, storage="memory")), MemoryStorage)


def test_a_bucket_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "app.storage.gcs.bucket", None)

    with pytest.raises(StorageUnavailable, match=r"install nixery\[gcs\]"):
        storage_of(settings(tmp_path, storage="gcs", gcs_bucket="images"))


async def test_blobs_are_those_of_the_opened_storage(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        opened = await open_storage(settings(tmp_path, storage="memory"), stack)
        digest = await opened.blobs.write_blob(b"body")

        assert await opened.storage.read(keys.blob(digest)) == b"body"
