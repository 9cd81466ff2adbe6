"""The objects of a bucket, by calls that wait for Google."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import BinaryIO

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import Signing
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from app.errors import StorageUnavailable
from app.storage.base import READ_LIMIT, ObjectNotFound, RemoteUrl
from app.storage.gcs.errors import translate_absence
from app.storage.gcs.signing import find_credentials, signing
from app.system.blocking import blocking

URL_LIFE = timedelta(hours=1)
# The library's default takes 40 MiB or more of memory for each upload, and is not faster.
_CHUNK = 8 << 20
_ATTEMPTS_SECONDS = 30.0
# Attempts to create an object while it is being deleted.
_ATTEMPTS = 3
_PERMISSIONS = tuple(f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list"))


@dataclass(frozen=True, slots=True)
class _Connection:
    client: storage.Client
    bucket: storage.Bucket
    signer: Signing


class BucketObjects:
    """Methods raise what Google's library raises, and ObjectNotFound."""

    def __init__(self, *, bucket: str, connections: int) -> None:
        self.bucket = bucket
        self.retry = DEFAULT_RETRY.with_timeout(_ATTEMPTS_SECONDS)
        self._connections = connections
        self._connected: _Connection | None = None

    @blocking
    def connect(self) -> None:
        """Raise StorageUnavailable without credentials."""
        if self._connected is not None:
            return
        credentials = find_credentials()
        # Objects belong to buckets: no call needs a project.
        client = storage.Client(project=None, credentials=credentials)
        for scheme in ("https://", "http://"):
            client._http.mount(scheme, HTTPAdapter(pool_maxsize=self._connections))  # noqa: SLF001  # the one way to size the pool
        # It would query the bucket, in a thread of its own, after every object not found.
        client._bucket_metadata_cache = None  # noqa: SLF001  # serves traces that are not made here
        self._connected = _Connection(client, client.bucket(self.bucket), signing(credentials))

    def close(self) -> None:
        if self._connected is not None:
            self._connected.client.close()

    @property
    def signer_email(self) -> str:
        return str(self._connection.signer.signer_email)

    @blocking
    def missing_permissions(self) -> list[str]:
        granted = self._connection.bucket.test_iam_permissions(list(_PERMISSIONS), retry=self.retry)
        return sorted(set(_PERMISSIONS) - set(granted))

    @blocking
    def size(self, key: str) -> int:
        blob = self._connection.bucket.get_blob(key, retry=self.retry)
        if blob is None:
            raise ObjectNotFound(key)
        return int(blob.size or 0)

    @blocking
    def read(self, key: str) -> bytes:
        """Raise ObjectNotFound also for an object that is larger than READ_LIMIT."""
        body = _Bounded(READ_LIMIT, lambda: ObjectNotFound(key))
        self.download(key, body)
        return body.getvalue()

    @blocking
    def download(self, key: str, file: BinaryIO) -> None:
        """Write the object to ``file``; its checksum is compared."""
        with translate_absence(key):
            self._blob(key).download_to_file(file, retry=self.retry)

    @blocking
    def download_generation(self, key: str, file: BinaryIO) -> int:
        """Do the same as ``download``, and return the number of these bytes.

        Raise ObjectNotFound also for an object that is replaced at the same time.
        """
        blob = self._connection.bucket.get_blob(key, retry=self.retry)
        if blob is None:
            raise ObjectNotFound(key)
        generation = int(blob.generation or 0)
        try:
            with translate_absence(key):
                # The library adds the generation that it has got.
                blob.download_to_file(file, retry=self.retry)
        except PreconditionFailed:
            raise ObjectNotFound(key) from None
        return generation

    @blocking
    def sign(self, key: str) -> RemoteUrl:
        return RemoteUrl(size=self.size(key), url=self.signed_url(key))

    @blocking
    def signed_url(self, key: str) -> str:
        """Return an address for GET; Google signs it if the machine does not have a key."""
        url = self._blob(key).generate_signed_url(
            version="v4",
            method="GET",
            expiration=URL_LIFE,
            credentials=self._connection.signer,
        )
        return str(url)

    @blocking
    def create(self, key: str, body: bytes) -> bytes:
        for _ in range(_ATTEMPTS):
            if self.upload(key, BytesIO(body), replace=False):
                return body
            with suppress(ObjectNotFound):  # deleted since, or not an object
                return self.read(key)
        self.upload(key, BytesIO(body), replace=True)
        return body

    @blocking
    def adopt(self, key: str, file: BinaryIO) -> None:
        """Upload the file unless an object of its size is there, and close it."""
        try:
            stored = self.size(key)
        except ObjectNotFound:
            self.upload(key, file, replace=False)
        else:
            if stored != file.seek(0, os.SEEK_END):
                self.upload(key, file, replace=True)
        file.close()

    @blocking
    def upload(self, key: str, file: BinaryIO, *, replace: bool) -> bool:
        """Return False if an object was there and has been left.

        It is also False when the object is this one and only the reply to a first attempt was
        lost; to the callers both are the same.
        """
        size = file.seek(0, os.SEEK_END)
        blob = self._blob(key)
        blob.chunk_size = _CHUNK  # not for downloads, which would come in pieces too
        try:
            blob.upload_from_file(
                file,
                rewind=True,
                size=size,
                content_type="application/octet-stream",
                if_generation_match=None if replace else 0,
                retry=self.retry,
            )
        except PreconditionFailed:
            return False
        return True

    @blocking
    def delete(self, key: str) -> None:
        try:
            self._blob(key).delete(retry=self.retry)
        except NotFound:
            return

    @blocking
    def delete_generation(self, key: str, generation: int) -> bool:
        """Return False if the object has other bytes now, or is gone."""
        try:
            self._blob(key).delete(if_generation_match=generation, retry=self.retry)
        except (NotFound, PreconditionFailed):
            return False
        return True

    @blocking
    def keys(self, prefix: str) -> list[str]:
        blobs = self._connection.client.list_blobs(
            self._connection.bucket,
            prefix=prefix,
            fields="items(name),nextPageToken",
            retry=self.retry,
        )
        return sorted(blob.name for blob in blobs)

    @property
    def _connection(self) -> _Connection:
        if self._connected is None:
            raise StorageUnavailable("the storage has not been started")
        return self._connected

    def _blob(self, key: str) -> storage.Blob:
        return self._connection.bucket.blob(key)


class _Bounded(BytesIO):
    """A buffer that raises ``error`` beyond ``limit`` bytes."""

    def __init__(self, limit: int, error: Callable[[], Exception]) -> None:
        super().__init__()
        self._limit = limit
        self._error = error

    def write(self, data: bytes) -> int:  # type: ignore[override]  # typeshed: Buffer is 3.12
        if self.tell() + len(data) > self._limit:  # plain: ok
            raise self._error()
        return super().write(data)
