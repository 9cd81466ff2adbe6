"""The storage that the settings name."""

from app.errors import StorageUnavailable
from app.settings.settings import Settings, StorageBackend
from app.storage.base import Storage
from app.storage.filesystem import FilesystemStorage
from app.storage.memory import MemoryStorage


def storage_of(settings: Settings) -> Storage:
    """To be started.  Raises StorageUnavailable, for the operator to read."""
    match settings.storage:
        case StorageBackend.FILESYSTEM:
            return FilesystemStorage(settings.storage_path)
        case StorageBackend.MEMORY:
            return MemoryStorage()
        case StorageBackend.GCS:
            return _bucket(settings)


def _bucket(settings: Settings) -> Storage:
    """Google's library is an extra, and takes longer to load than all the rest."""
    try:
        from app.storage.gcs.bucket import GcsStorage  # noqa: PLC0415  # only for whoever wants it
    except ImportError as error:
        raise StorageUnavailable(
            "the gcs storage needs Google's library: install nixery[gcs]"
        ) from error
    assert settings.gcs_bucket is not None, "settings without a bucket are refused"
    return GcsStorage(bucket=settings.gcs_bucket, spool_directory=settings.state_path / "spool")
