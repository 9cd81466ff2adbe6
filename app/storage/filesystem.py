"""Files below one directory, linked into place when they are finished and on the disk."""

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from anyio import CapacityLimiter

from app.storage import spool
from app.storage.base import LocalFile, Location, ObjectNotFound
from app.storage.directories import Directories, no_directory, sync
from app.storage.keys import checked, checked_prefix, is_key
from app.storage.objects import Objects
from app.storage.spool import SpoolFile
from app.system import threads
from app.system.disk import reported

P = ParamSpec("P")
T = TypeVar("T")

# Enough to keep a disk's queue filled; reads of the page cache return at once.
_THREADS = 16
# Looks by one thread, where there are many: a slow disk gets several questions at a time.
_TOGETHER = 32
# To publish an object while its directories are being removed.
_ATTEMPTS = 3
# No key begins with a dot.
_STAGING = ".staging"


class FilesystemStorage:
    """Data to the disk, link, directory to the disk: the order is the promise.

    The directory is one file system, with hard links, and may be shared by several servers.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._staging = self._root / _STAGING
        self._limiter = CapacityLimiter(_THREADS)
        self._objects = Objects(self._root)
        self._directories = Directories(self._root, self._staging)
        self._new_spool: spool.NewSpool = spool.unnamed

    async def start(self) -> None:
        self._new_spool = await self._run(spool.prepare, self._staging)

    async def check(self) -> None:
        await self._run(self._check)

    async def size(self, key: str) -> int:
        return await self._run(self._objects.size, checked(key))

    async def read(self, key: str) -> bytes:
        return await self._run(self._objects.read, checked(key))

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        return await self._run_each(self._objects.size, keys)

    async def read_each(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._run_each(self._objects.read, keys)

    async def locate(self, key: str) -> Location:
        return LocalFile(self._path(key), await self.size(key))

    async def write(self, key: str, body: bytes) -> None:
        await self._run(self._write, checked(key), body)

    async def create(self, key: str, body: bytes) -> bytes:
        return await self._run(self._create, checked(key), body)

    async def adopt(self, key: str, file: BinaryIO) -> None:
        await self._run(self._adopt, checked(key), file)

    async def delete(self, key: str) -> None:
        await self._run(self._delete, checked(key))

    async def keys(self, prefix: str) -> list[str]:
        return await self._run(self._keys, checked_prefix(prefix))

    def spool(self) -> BinaryIO:
        with reported():
            return spool.buffered(self._spool())

    def open(self, key: str) -> BinaryIO:
        with reported():
            return BufferedReader(self._objects.open(checked(key)))

    async def close(self) -> None:
        pass

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with reported():
            return await threads.run(partial(work, *args, **kwargs), limiter=self._limiter)

    async def _run_each(self, look: Callable[[str], T], keys: Sequence[str]) -> list[T | None]:
        """A thread for each would cost several times the look itself."""
        names = [checked(key) for key in keys]
        parts = [names[start : start + _TOGETHER] for start in range(0, len(names), _TOGETHER)]
        found = await asyncio.gather(*(self._run(_each, look, part) for part in parts))
        return [one for part in found for one in part]

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    def _spool(self) -> SpoolFile:
        """Blocking.  The staging directory may have been removed since the start."""
        with no_directory():
            return self._new_spool(self._staging)
        self._directories.restore_staging()
        return self._new_spool(self._staging)

    def _check(self) -> None:
        """Blocking."""
        self._spool().close()
        spool.attempt(self._new_spool, self._staging)

    def _write(self, key: str, body: bytes) -> None:
        """Blocking."""
        with self._spool() as file:
            file.write(body)
            self._publish(key, file, replace=True)

    def _create(self, key: str, body: bytes) -> bytes:
        """Blocking."""
        with self._spool() as file:
            file.write(body)
            for _ in range(_ATTEMPTS):
                if self._publish(key, file, replace=False):
                    return body
                with suppress(ObjectNotFound):  # deleted meanwhile, or never an object
                    return self._objects.read(key)
            self._publish(key, file, replace=True)
        return body

    def _adopt(self, key: str, file: BinaryIO) -> None:
        """Blocking."""
        ours = spool.flushed(file)
        if ours is not None:
            self._publish_content(key, ours)
            return
        with self._spool() as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
            self._publish_content(key, copy)

    def _publish_content(self, key: str, file: SpoolFile) -> None:
        """Blocking.  An object of another size under the digest's key is damage: replace it."""
        if self._publish(key, file, replace=False):
            return
        try:
            there = self._objects.size(key)
        except ObjectNotFound:  # deleted meanwhile, or never an object
            there = None
        if there != os.fstat(file.fileno()).st_size:
            self._publish(key, file, replace=True)

    def _publish(self, key: str, file: SpoolFile, *, replace: bool) -> bool:
        """Blocking.  Return False if something has the name and was left.

        Directories may be removed at any moment, so some attempts are made.
        """
        os.fsync(file.fileno())
        for _ in range(_ATTEMPTS):
            with no_directory():
                return self._attempt(key, file, replace=replace)
            if not self._staging.is_dir():
                self._directories.restore_staging()
        return self._attempt(key, file, replace=replace)

    def _attempt(self, key: str, file: SpoolFile, *, replace: bool) -> bool:
        """Blocking."""
        target = self._path(key)
        directory = self._directories.opened(target.parent)
        try:
            if replace:
                self._replace(target, file)
            else:
                spool.link(file, target)
        except FileExistsError:
            return False
        else:
            return True
        finally:
            # Also for the loser: the winner may die before it gets here.
            os.fsync(directory)
            os.close(directory)

    def _replace(self, target: Path, file: SpoolFile) -> None:
        """Blocking."""
        passing = self._staging / f"passing-{secrets.token_hex(16)}"
        spool.link(file, passing)
        try:
            try:
                passing.rename(target)
            except IsADirectoryError:
                self._directories.set_aside(target)
                passing.rename(target)
        except BaseException:
            passing.unlink(missing_ok=True)
            raise

    def _delete(self, key: str) -> None:
        """Blocking."""
        path = self._path(key)
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            path.unlink()
            sync(path.parent)

    def _keys(self, prefix: str) -> list[str]:
        """Blocking."""
        found = []
        for directory, subdirectories, names in os.walk(self._root / prefix.rpartition("/")[0]):
            subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
            folder = Path(directory).relative_to(self._root)
            found += [(folder / name).as_posix() for name in names]
        return sorted(key for key in found if key.startswith(prefix) and is_key(key))


def _each(look: Callable[[str], T], keys: Sequence[str]) -> list[T | None]:
    """Blocking."""
    found: list[T | None] = []
    for key in keys:
        try:
            found.append(look(key))
        except ObjectNotFound:
            found.append(None)
    return found
