"""Objects in a dictionary: for tests and trials."""

import io
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

from anyio import CapacityLimiter

from app.storage.base import Content, Location, ObjectNotFound
from app.storage.keys import checked, checked_prefix
from app.system import threads
from app.system.blocking import blocking

_THREADS = 4


class MemoryStorage:
    """A storage that ends with its process."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._limiter = CapacityLimiter(_THREADS)

    async def start(self) -> None:
        pass

    async def check(self) -> None:
        pass

    async def size(self, key: str) -> int:
        return len(self._find(key))

    async def read(self, key: str) -> bytes:
        return self._find(key)

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        return [None if body is None else len(body) for body in await self.read_each(keys)]

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._objects.get(checked(key)) for key in keys]

    async def locate(self, key: str) -> Location:
        return Content(self._find(key))

    async def write(self, key: str, body: bytes) -> None:
        self._objects[checked(key)] = bytes(body)

    async def create(self, key: str, body: bytes) -> bytes:
        return self._objects.setdefault(checked(key), bytes(body))

    async def adopt(self, key: str, file: BinaryIO) -> None:
        checked(key)
        body = await threads.run(partial(_content, file), limiter=self._limiter)
        if len(self._objects.setdefault(key, body)) != len(body):
            self._objects[key] = body

    async def delete(self, key: str) -> None:
        self._objects.pop(checked(key), None)

    async def delete_if(self, key: str, is_useless: Callable[[BinaryIO | None], bool]) -> bool:
        try:
            body, file = self._find(key), self.open_raw(key)
        except ObjectNotFound:
            return False
        if not await threads.run(partial(is_useless, file), limiter=self._limiter):
            return False
        return self._objects.get(key) is body and self._objects.pop(key) is body

    async def keys(self, prefix: str) -> list[str]:
        checked_prefix(prefix)
        return sorted(key for key in self._objects if key.startswith(prefix))

    def spool(self) -> BinaryIO:
        # A real file, because packers may need its descriptor.
        return tempfile.TemporaryFile()

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._find(key))

    def open_raw(self, key: str) -> BinaryIO:
        return self.open(key)

    async def close(self) -> None:
        self._objects.clear()

    def _find(self, key: str) -> bytes:
        try:
            return self._objects[checked(key)]
        except KeyError:
            raise ObjectNotFound(key) from None


@blocking
def _content(file: BinaryIO) -> bytes:
    """Return the bytes of a spool file, and close it, in a worker: layers may have gigabytes."""
    file.seek(0)
    with file:
        return file.read()
