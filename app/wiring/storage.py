"""The configured storage, and the caches in front of it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from app.errors import StorageUnavailable
from app.settings.sections.storage import FilesystemBackend, GcsBackend, MemoryBackend
from app.settings.settings import Settings
from app.storage.base import Storage
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache
from app.storage.filesystem import FilesystemStorage
from app.storage.memory import MemoryStorage


@dataclass(frozen=True, slots=True)
class OpenStorage:
    """The storage, and the cache of blob existence."""

    storage: Storage
    blobs: BlobStore
    existence: BlobExistenceCache


async def open_storage(settings: Settings, stack: AsyncExitStack) -> OpenStorage:
    """Open the storage that the settings select.  Raises StorageUnavailable."""
    storage = storage_of(settings)
    await storage.start()
    stack.push_async_callback(storage.close)
    return OpenStorage(storage, BlobStore(storage), BlobExistenceCache(storage))


def storage_of(settings: Settings) -> Storage:
    """Return the storage, not started yet.  Raises StorageUnavailable."""
    match settings.backend:
        case FilesystemBackend(path):
            return FilesystemStorage(path)
        case MemoryBackend():
            return MemoryStorage()
        case GcsBackend() as backend:
            return _bucket(backend)


def _bucket(backend: GcsBackend) -> Storage:
    """Import Google's library on demand: it is an extra and slow to load."""
    try:
        from app.storage.gcs.bucket import GcsStorage  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise StorageUnavailable(
            "the gcs storage needs Google's library: install nixery[gcs]"
        ) from error
    return GcsStorage(bucket=backend.bucket, spool_directory=backend.spool_directory)
