"""Files below one directory, linked into place when they are finished and on the disk."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from anyio import CapacityLimiter

from app.storage.base import LocalFile, Location, ObjectNotFound
from app.storage.content_check import ContentCheck
from app.storage.directories import sync
from app.storage.keys import MOST_SEGMENTS, checked, checked_prefix, is_key
from app.storage.objects import Objects
from app.storage.publishing import Publisher
from app.storage.spool import buffered
from app.system import threads
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.cpus import usable_cpus
from app.system.directory_trees import files_below
from app.system.disk import translate_disk_errors
from app.system.single_flight import SingleFlight

P = ParamSpec("P")
T = TypeVar("T")

# Enough to fill the queue of a disk; reads of the page cache return at once.
_THREADS = 16
# Lookups by one thread, if there are many: a slow disk gets several requests at a time.
_TOGETHER = 32


class FilesystemStorage:
    """A storage in a directory.

    The data is forced to the disk, then linked to its name, then the directory is forced to the
    disk.  So an object that is visible is whole, also after a power cut.  The directory is one file
    system, with hard links, and may be shared by several servers.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._root = root.absolute()
        self._limiter = CapacityLimiter(_THREADS)
        self._hashing = CapacityLimiter(usable_cpus())
        self._checks: SingleFlight[str, int | None] = SingleFlight()
        self._objects = Objects(self._root)
        self._content = ContentCheck(self._objects, clock=clock)
        self._publisher = Publisher(self._root, objects=self._objects, content=self._content)

    async def start(self) -> None:
        await self._run(self._publisher.prepare)

    async def check(self) -> None:
        await self._run(self._publisher.check)

    async def size(self, key: str) -> int:
        size = await self._run(self._content.known_size, checked(key))
        return size if size is not None else _size_or_absent(key, await self._checked_size(key))

    async def read(self, key: str) -> bytes:
        return await self._run(self._objects.read, checked(key))

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        """Files that this process neither wrote nor checked are hashed, a few at a time."""
        unknown: list[str] = []

        def look(key: str) -> int | None:
            size = self._content.known_size(key)
            if size is None:
                unknown.append(key)
            return size

        known = dict(zip(keys, await self._run_each(look, keys), strict=True))
        checked_sizes = await gather(self._checked_size(key) for key in unknown)
        known.update(zip(unknown, checked_sizes, strict=True))
        return [known[key] for key in keys]

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._run_each(self._objects.read, keys)

    async def locate(self, key: str) -> Location:
        with translate_disk_errors():
            locate = partial(self._content.locate, checked(key))
            found = await threads.run(locate, limiter=self._limiter, discard=_close)
        return found or LocalFile(self._path(key), await self.size(key))

    async def write(self, key: str, body: bytes) -> None:
        await self._run(self._publisher.write, checked(key), body)

    async def create(self, key: str, body: bytes) -> bytes:
        return await self._run(self._publisher.create, checked(key), body)

    async def adopt(self, key: str, file: BinaryIO) -> None:
        await self._run(self._publisher.adopt, checked(key), file)

    async def delete(self, key: str) -> None:
        await self._run(self._delete, checked(key))

    async def delete_if(self, key: str, is_useless: Callable[[BinaryIO | None], bool]) -> bool:
        return await self._run(self._publisher.remove_if, checked(key), is_useless)

    async def keys(self, prefix: str) -> list[str]:
        return await self._run(self._keys, checked_prefix(prefix))

    def spool(self) -> BinaryIO:
        with translate_disk_errors():
            return buffered(self._publisher.spool())

    def open(self, key: str) -> BinaryIO:
        with translate_disk_errors():
            return BufferedReader(self._content.open(checked(key)))

    def open_raw(self, key: str) -> BinaryIO:
        with translate_disk_errors():
            return BufferedReader(self._objects.open(checked(key)))

    async def close(self) -> None:
        pass

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with translate_disk_errors():
            return await threads.run(partial(work, *args, **kwargs), limiter=self._limiter)

    async def _run_each(self, look: Callable[[str], T], keys: Sequence[str]) -> list[T | None]:
        """Look up several keys in each thread: a thread for each key costs several times more."""
        names = [checked(key) for key in keys]
        parts = [names[start : start + _TOGETHER] for start in range(0, len(names), _TOGETHER)]
        found = await asyncio.gather(*(self._run(_each, look, part) for part in parts))
        return [one for part in found for one in part]

    async def _checked_size(self, key: str) -> int | None:
        """Hash the file, once for all callers; return None for one that is wrong."""
        return await self._checks.run(key, partial(self._check_content, key))

    async def _check_content(self, key: str) -> int | None:
        with translate_disk_errors():
            (size,) = await threads.run(
                partial(_each, self._content.size, [key]), limiter=self._hashing
            )
        return size

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    @blocking
    def _delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            path.unlink()
            sync(path.parent)

    @blocking
    def _keys(self, prefix: str) -> list[str]:
        directory = self._root / prefix.rpartition("/")[0]
        found = (
            file.relative_to(self._root).as_posix()
            for file in files_below(directory, levels=MOST_SEGMENTS)
        )
        return sorted(key for key in found if key.startswith(prefix) and is_key(key))


def _size_or_absent(key: str, size: int | None) -> int:
    if size is None:
        raise ObjectNotFound(key)
    return size


@blocking
def _close(location: Location | None) -> None:
    if isinstance(location, LocalFile):
        location.close()


@blocking
def _each(look: Callable[[str], T], keys: Sequence[str]) -> list[T | None]:
    found: list[T | None] = []
    for key in keys:
        try:
            found.append(look(key))
        except ObjectNotFound:
            found.append(None)
    return found
