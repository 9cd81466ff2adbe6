"""Every storage backend keeps the contract."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage import spool
from app.storage.base import Storage
from app.storage.filesystem import FilesystemStorage
from app.storage.gcs.bucket import GcsStorage
from app.storage.gcs.objects import BucketObjects
from app.storage.memory import MemoryStorage
from tests.contract.storage_contract import StorageContract
from tests.fakes.gcs import BUCKET, FakeGcs


class TestMemory(StorageContract):
    def new(self, directory: Path) -> Storage:  # noqa: ARG002  # memory needs none
        return MemoryStorage()


class TestFilesystem(StorageContract):
    def new(self, directory: Path) -> Storage:
        return FilesystemStorage(directory)


@pytest.mark.usefixtures("without_unnamed_files")
class TestFilesystemWithNamedFiles(TestFilesystem):
    """On a file system that does not have O_TMPFILE."""


@pytest.mark.slow
@pytest.mark.usefixtures("empty_bucket")
class TestGcs(StorageContract):
    def new(self, directory: Path) -> Storage:
        storage = GcsStorage(bucket=BUCKET, spool_directory=directory)
        storage._objects = self._connected
        return storage

    @pytest.fixture(autouse=True)
    def share_connection(self, connected: BucketObjects) -> None:
        """Share what takes longer than most tests: the client's key and its token."""
        self._connected = connected


@pytest.fixture
def without_unnamed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(spool, "unnamed", unsupported)


@pytest.fixture
def empty_bucket(fake_gcs: FakeGcs) -> None:
    fake_gcs.reset()


@pytest.fixture(scope="module")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    with FakeGcs.served(tmp_path_factory.mktemp("gcs")) as fake:
        yield fake


@pytest.fixture(scope="module")
def connected(fake_gcs: FakeGcs) -> BucketObjects:
    objects = BucketObjects(bucket=BUCKET, connections=8)
    objects.connect()
    return objects
