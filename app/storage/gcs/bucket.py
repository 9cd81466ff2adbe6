"""A bucket of Google Cloud Storage; clients fetch blobs from it directly, by signed addresses."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from anyio import CapacityLimiter
from google.api_core.exceptions import NotFound
from google.auth.exceptions import GoogleAuthError

from app.errors import StorageUnavailable
from app.storage import spool
from app.storage.base import Location, ObjectNotFound, RemoteUrl
from app.storage.gcs.errors import FORBIDDEN, translate_bucket_errors
from app.storage.gcs.objects import URL_LIFE, BucketObjects
from app.storage.keys import checked, checked_prefix
from app.system import threads
from app.system.blocking import blocking
from app.system.cache import Cache
from app.system.disk import translate_disk_errors

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 32
_URLS = 10_000


class GcsStorage:
    """Objects are uploaded whole to their own names, from a spool file if they are large.

    ``spool_directory`` needs room for as many layers as are packed and read at once.
    """

    def __init__(self, *, bucket: str, spool_directory: Path) -> None:
        self._spool_directory = spool_directory
        self._limiter = CapacityLimiter(_THREADS)
        self._new_spool: spool.NewSpool = spool.unnamed
        self._objects = BucketObjects(bucket=bucket, connections=_THREADS)
        # An address is used for half of its life.
        self._urls: Cache[str, RemoteUrl] = Cache(_URLS, seconds=URL_LIFE.total_seconds() / 2)

    async def start(self) -> None:
        await self._run(self._start)

    async def check(self) -> None:
        if await self._run(self._objects.missing_permissions):
            raise StorageUnavailable(FORBIDDEN)

    async def size(self, key: str) -> int:
        return await self._run(self._objects.size, checked(key))

    async def read(self, key: str) -> bytes:
        return await self._run(self._objects.read, checked(key))

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        """Query the size, and drop the addresses of objects that have another size than before."""
        sizes = await self._run_each(self._objects.size, keys)
        for key, size in zip(keys, sizes, strict=True):
            url = self._urls.get(key)
            if url is not None and url.size != size:
                self._urls.pop(key)
        return sizes

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._run_each(self._objects.read, keys)

    async def locate(self, key: str) -> Location:
        """Return a signed address; while it is cached the object is taken to be there."""
        url = self._urls.get(checked(key))
        if url is None:
            url = await self._run(self._objects.sign, key)
            self._urls[key] = url
        return url

    async def write(self, key: str, body: bytes) -> None:
        await self._run(self._objects.upload, checked(key), BytesIO(body), replace=True)
        self._urls.pop(key)

    async def create(self, key: str, body: bytes) -> bytes:
        return await self._run(self._objects.create, checked(key), body)

    async def adopt(self, key: str, file: BinaryIO) -> None:
        await self._run(self._objects.adopt, checked(key), file)
        self._urls.pop(key)

    async def delete(self, key: str) -> None:
        await self._run(self._objects.delete, checked(key))
        self._urls.pop(key)

    async def delete_if(self, key: str, is_useless: Callable[[BinaryIO | None], bool]) -> bool:
        removed = await self._run(self._delete_if, checked(key), is_useless)
        if removed:
            self._urls.pop(key)
        return removed

    async def keys(self, prefix: str) -> list[str]:
        return await self._run(self._objects.keys, checked_prefix(prefix))

    @blocking
    def spool(self) -> BinaryIO:
        with translate_disk_errors():
            return spool.buffered(self._new_spool(self._spool_directory))

    @blocking
    def open(self, key: str) -> BinaryIO:
        """Return a copy in a spool file: one request instead of many, and safe from deletion."""
        checked(key)
        file = self.spool()
        try:
            with translate_bucket_errors():
                self._objects.download(key, file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    @blocking
    def open_raw(self, key: str) -> BinaryIO:
        return self.open(key)

    async def close(self) -> None:
        self._objects.close()

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with translate_bucket_errors():
            return await threads.run(partial(work, *args, **kwargs), limiter=self._limiter)

    async def _run_each(self, look: Callable[[str], T], keys: Sequence[str]) -> list[T | None]:
        names = [checked(key) for key in keys]
        return await asyncio.gather(*(self._run(_unless_absent, look, name) for name in names))

    @blocking
    def _delete_if(self, key: str, is_useless: Callable[[BinaryIO | None], bool]) -> bool:
        with self.spool() as file:
            try:
                generation = self._objects.download_generation(key, file)
            except ObjectNotFound:
                return False
            file.seek(0)
            return is_useless(file) and self._objects.delete_generation(key, generation)

    @blocking
    def _start(self) -> None:
        self._new_spool = spool.prepare(self._spool_directory)
        self._objects.connect()
        try:
            missing = self._objects.missing_permissions()
        except NotFound as error:
            raise StorageUnavailable(f"bucket {self._objects.bucket} does not exist") from error
        if missing:
            raise StorageUnavailable(
                f"the credentials lack {', '.join(missing)} on the bucket {self._objects.bucket}:"
                " grant roles/storage.objectUser"
            )
        try:
            self._objects.signed_url("trial")
        except GoogleAuthError as error:
            raise StorageUnavailable(
                f"addresses cannot be signed for {self._objects.signer_email}:"
                " grant it roles/iam.serviceAccountTokenCreator on itself"
            ) from error


@blocking
def _unless_absent(look: Callable[[str], T], key: str) -> T | None:
    try:
        return look(key)
    except ObjectNotFound:
        return None
