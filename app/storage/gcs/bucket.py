"""A bucket of Google Cloud Storage; blobs are fetched from it directly, by signed addresses."""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import requests
from anyio import CapacityLimiter
from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, PreconditionFailed
from google.auth.credentials import Signing
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from app.errors import StorageUnavailable
from app.storage import spool
from app.storage.base import Location, ObjectNotFound, RemoteUrl
from app.storage.gcs.signing import find_credentials, signing
from app.storage.keys import checked, checked_prefix
from app.system import threads
from app.system.disk import reported

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 32
# The default takes 40 MiB or more of memory for each upload, and is no faster.
_CHUNK = 8 << 20
_ATTEMPTS_SECONDS = 30.0
_URL_LIFE = timedelta(hours=1)
_URLS = 10_000
_FORBIDDEN = "the registry may not use its bucket; its operator has to grant it the permission"
_UNREACHABLE = "the registry's bucket does not answer; its operator finds the reason in the log"
# requests' exceptions are OSErrors, but say nothing of this machine.
_FAILURES = (
    GoogleAPIError,
    GoogleAuthError,
    InvalidResponse,
    DataCorruption,
    requests.RequestException,
)
_NEEDED = tuple(f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list"))


@dataclass(frozen=True, slots=True)
class _Connection:
    client: storage.Client
    bucket: storage.Bucket
    signer: Signing


class GcsStorage:
    """Objects are uploaded whole to their own names, from a spool file if they are large.

    ``spool_directory`` needs room for as many layers as are packed and read at once.
    """

    def __init__(self, *, bucket: str, spool_directory: Path) -> None:
        self._name = bucket
        self._spool_directory = spool_directory
        self._limiter = CapacityLimiter(_THREADS)
        self._new_spool: spool.NewSpool = spool.unnamed
        self._connected: _Connection | None = None
        self._retry = DEFAULT_RETRY.with_timeout(_ATTEMPTS_SECONDS)
        self._urls: OrderedDict[str, tuple[float, RemoteUrl]] = OrderedDict()

    async def start(self) -> None:
        await self._run(self._start)

    async def check(self) -> None:
        if await self._run(self._missing_permissions):
            raise StorageUnavailable(_FORBIDDEN)

    async def size(self, key: str) -> int:
        return await self._run(self._size, checked(key))

    async def read(self, key: str) -> bytes:
        return await self._run(self._read, checked(key))

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        """An address remembered with another size is of what was there before."""
        sizes = await self._run_each(self._size, keys)
        for key, size in zip(keys, sizes, strict=True):
            if key in self._urls and self._urls[key][1].size != size:
                del self._urls[key]
        return sizes

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._run_each(self._read, keys)

    async def locate(self, key: str) -> Location:
        """The address is remembered for half of its life, and the object taken to be there."""
        expiry, location = self._urls.get(checked(key), (0.0, None))
        if location is None or time.monotonic() > expiry:
            expiry = time.monotonic() + _URL_LIFE.total_seconds() / 2
            location = await self._run(self._sign, key)
            self._urls[key] = expiry, location
            if len(self._urls) > _URLS:
                self._urls.popitem(last=False)
        return location

    async def write(self, key: str, body: bytes) -> None:
        await self._run(self._upload, checked(key), BytesIO(body), replace=True)
        self._urls.pop(key, None)

    async def create(self, key: str, body: bytes) -> bytes:
        return await self._run(self._create, checked(key), body)

    async def adopt(self, key: str, file: BinaryIO) -> None:
        await self._run(self._adopt, checked(key), file)
        self._urls.pop(key, None)

    async def delete(self, key: str) -> None:
        await self._run(self._delete, checked(key))
        self._urls.pop(key, None)

    async def keys(self, prefix: str) -> list[str]:
        return await self._run(self._keys, checked_prefix(prefix))

    def spool(self) -> BinaryIO:
        with reported():
            return spool.buffered(self._new_spool(self._spool_directory))

    def open(self, key: str) -> BinaryIO:
        """A copy in a spool file: one request instead of many, and safe from later deletion."""
        file = self.spool()
        try:
            with _told(), _absence(key):
                self._blob(key).download_to_file(file, retry=self._retry)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def open_raw(self, key: str) -> BinaryIO:
        return self.open(key)

    async def close(self) -> None:
        if self._connected is not None:
            self._connected.client.close()

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _told():
            return await threads.run(partial(work, *args, **kwargs), limiter=self._limiter)

    async def _run_each(self, look: Callable[[str], T], keys: Sequence[str]) -> list[T | None]:
        names = [checked(key) for key in keys]
        return await asyncio.gather(*(self._run(_unless_absent, look, name) for name in names))

    @property
    def _connection(self) -> _Connection:
        assert self._connected is not None, "not started"
        return self._connected

    def _blob(self, key: str) -> storage.Blob:
        return self._connection.bucket.blob(checked(key))

    def _start(self) -> None:
        """Blocking."""
        self._new_spool = spool.prepare(self._spool_directory)
        if self._connected is None:
            self._connected = self._connect()
        try:
            missing = self._missing_permissions()
        except NotFound as error:
            raise StorageUnavailable(f"there is no bucket {self._name}") from error
        if missing:
            raise StorageUnavailable(
                f"the credentials lack {', '.join(missing)} on the bucket {self._name}:"
                " grant roles/storage.objectUser"
            )
        try:
            self._signed("trial")
        except GoogleAuthError as error:
            raise StorageUnavailable(
                f"addresses cannot be signed for {self._connection.signer.signer_email}:"
                " grant it roles/iam.serviceAccountTokenCreator on itself"
            ) from error

    def _connect(self) -> _Connection:
        """Blocking."""
        credentials = find_credentials()
        # Objects belong to buckets: no call of ours needs a project.
        client = storage.Client(project=None, credentials=credentials)
        for scheme in ("https://", "http://"):
            client._http.mount(scheme, HTTPAdapter(pool_maxsize=_THREADS))  # noqa: SLF001  # the one way to size the pool
        # It would ask for the bucket, in a thread of its own, after every object not found.
        client._bucket_metadata_cache = None  # noqa: SLF001  # serves traces we do not make
        return _Connection(client, client.bucket(self._name), signing(credentials))

    def _missing_permissions(self) -> list[str]:
        """Blocking."""
        granted = self._connection.bucket.test_iam_permissions(list(_NEEDED), retry=self._retry)
        return sorted(set(_NEEDED) - set(granted))

    def _size(self, key: str) -> int:
        """Blocking."""
        blob = self._connection.bucket.get_blob(key, retry=self._retry)
        if blob is None:
            raise ObjectNotFound(key)
        return int(blob.size or 0)

    def _read(self, key: str) -> bytes:
        """Blocking."""
        with _absence(key):
            body = self._blob(key).download_as_bytes(retry=self._retry)
        assert isinstance(body, bytes)
        return body

    def _sign(self, key: str) -> RemoteUrl:
        """Blocking."""
        return RemoteUrl(size=self._size(key), url=self._signed(key))

    def _signed(self, key: str) -> str:
        """Blocking, where the machine has no key of its own.  The signature is for GET alone."""
        url = self._blob(key).generate_signed_url(
            version="v4",
            method="GET",
            expiration=_URL_LIFE,
            credentials=self._connection.signer,
        )
        return str(url)

    def _create(self, key: str, body: bytes) -> bytes:
        """Blocking."""
        while not self._upload(key, BytesIO(body), replace=False):
            try:
                return self._read(key)
            except ObjectNotFound:  # deleted meanwhile: once more
                continue
        return body

    def _adopt(self, key: str, file: BinaryIO) -> None:
        """Blocking.  What is there already is not sent again, unless its size shows damage."""
        try:
            there = self._size(key)
        except ObjectNotFound:
            self._upload(key, file, replace=False)
        else:
            if there != file.seek(0, os.SEEK_END):
                self._upload(key, file, replace=True)

    def _upload(self, key: str, file: BinaryIO, *, replace: bool) -> bool:
        """Blocking.  False if an object was there and has been left.

        It is also False when the object is ours and only the reply to a first attempt was lost;
        the callers make no difference.
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
                retry=self._retry,
            )
        except PreconditionFailed:
            return False
        return True

    def _delete(self, key: str) -> None:
        """Blocking."""
        try:
            self._blob(key).delete(retry=self._retry)
        except NotFound:
            return

    def _keys(self, prefix: str) -> list[str]:
        """Blocking."""
        found = self._connection.client.list_blobs(
            self._connection.bucket,
            prefix=prefix,
            fields="items(name),nextPageToken",
            retry=self._retry,
        )
        return sorted(blob.name for blob in found)


def _unless_absent(look: Callable[[str], T], key: str) -> T | None:
    """Blocking."""
    try:
        return look(key)
    except ObjectNotFound:
        return None


@contextmanager
def _absence(key: str) -> Iterator[None]:
    try:
        yield
    except NotFound:
        raise ObjectNotFound(key) from None


@contextmanager
def _told() -> Iterator[None]:
    """Say in words for users what the library raises; names no bucket."""
    with reported():
        try:
            yield
        except Forbidden as error:
            raise StorageUnavailable(_FORBIDDEN) from error
        except _FAILURES as error:
            raise StorageUnavailable(_UNREACHABLE) from error
