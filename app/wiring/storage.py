"""The storage that the settings name."""

from app.errors import StorageUnavailable
from app.settings.sections.storage import FilesystemBackend, GcsBackend, MemoryBackend
from app.settings.settings import Settings
from app.storage.base import Storage
from app.storage.filesystem import FilesystemStorage
from app.storage.memory import MemoryStorage


def storage_of(settings: Settings) -> Storage:
    """To be started.  Raises StorageUnavailable, for the operator to read."""
    match settings.backend:
        case FilesystemBackend(path):
            return FilesystemStorage(path)
        case MemoryBackend():
            return MemoryStorage()
        case GcsBackend() as backend:
            return _bucket(backend)


def _bucket(backend: GcsBackend) -> Storage:
    """Google's library is an extra, and takes longer to load than all the rest."""
    try:
        from app.storage.gcs.bucket import GcsStorage  # noqa: PLC0415  # only for whoever wants it
    except ImportError as error:
        raise StorageUnavailable(
            "the gcs storage needs Google's library: install nixery[gcs]"
        ) from error
    return GcsStorage(bucket=backend.bucket, spool_directory=backend.spool_directory)
