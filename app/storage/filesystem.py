"""Files below one directory, linked into place when they are finished and on the disk."""

import asyncio
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from anyio import CapacityLimiter

from app.storage import spool
from app.storage.base import LocalFile, Location, ObjectNotFound
from app.storage.content_check import ContentCheck
from app.storage.directories import Directories, no_directory, sync
from app.storage.keys import checked, checked_prefix, is_key, sha256_of_blob
from app.storage.objects import Objects
from app.storage.spool import SpoolFile
from app.system import threads
from app.system.blocking import blocking
from app.system.concurrency import gather
from app.system.cpus import usable_cpus
from app.system.disk import translate_disk_errors
from app.system.single_flight import SingleFlight

P = ParamSpec("P")
T = TypeVar("T")

# Enough to fill the queue of a disk; reads of the page cache return at once.
_THREADS = 16
# Looks by one thread, if there are many: a slow disk gets several requests at a time.
_TOGETHER = 32
# Attempts to publish an object while its directories are being removed.
_ATTEMPTS = 3
# No key begins with a dot.
_STAGING = ".staging"


class FilesystemStorage:
    """Data to the disk, link, directory to the disk: this order keeps the promise of a storage.

    The directory is one file system, with hard links, and may be shared by several servers.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._root = root.absolute()
        self._staging = self._root / _STAGING
        self._limiter = CapacityLimiter(_THREADS)
        self._hashing = CapacityLimiter(usable_cpus())
        self._checks: SingleFlight[str, int | None] = SingleFlight()
        self._objects = Objects(self._root)
        self._content = ContentCheck(self._objects, clock=clock)
        self._directories = Directories(self._root, self._staging)
        self._new_spool: spool.NewSpool = spool.unnamed

    async def start(self) -> None:
        self._new_spool = await self._run(spool.prepare, self._staging)

    async def check(self) -> None:
        await self._run(self._check)

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
        found = await self._run(self._content.locate, checked(key))
        return found or LocalFile(self._path(key), await self.size(key))

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
        with translate_disk_errors():
            return spool.buffered(self._spool())

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
        """Look at several keys in each thread: a thread for each costs several times the look."""
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
    def _spool(self) -> SpoolFile:
        """Return a spool file, also if the staging directory was removed since the start."""
        with no_directory():
            return self._new_spool(self._staging)
        self._directories.restore_staging()
        return self._new_spool(self._staging)

    @blocking
    def _check(self) -> None:
        self._spool().close()
        spool.attempt(self._new_spool, self._staging)

    @blocking
    def _write(self, key: str, body: bytes) -> None:
        with self._spool() as file:
            file.write(body)
            self._publish(key, file, replace=True)
            self._note_written(key, file, body)

    @blocking
    def _create(self, key: str, body: bytes) -> bytes:
        with self._spool() as file:
            file.write(body)
            for _ in range(_ATTEMPTS):
                if self._publish(key, file, replace=False):
                    self._note_written(key, file, body)
                    return body
                with suppress(ObjectNotFound):  # deleted since, or not an object
                    return self._objects.read(key)
            self._publish(key, file, replace=True)
            self._note_written(key, file, body)
        return body

    @blocking
    def _adopt(self, key: str, file: BinaryIO) -> None:
        ours = spool.flushed(file)
        if ours is not None:
            self._publish_content(key, ours)
            return
        with self._spool() as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
            self._publish_content(key, copy)

    @blocking
    def _publish_content(self, key: str, file: SpoolFile) -> None:
        """Replace a damaged object: one of other bytes than the digest, or another size."""
        if not self._publish(key, file, replace=False):
            with suppress(ObjectNotFound):  # wrong, deleted since, or not a file
                if self._content.size(key) == os.fstat(file.fileno()).st_size:
                    return
            self._publish(key, file, replace=True)
        self._trust(key, file)

    @blocking
    def _note_written(self, key: str, file: SpoolFile, body: bytes) -> None:
        digest = sha256_of_blob(key)
        if digest is not None and hashlib.sha256(body).hexdigest() == digest:
            self._trust(key, file)

    @blocking
    def _trust(self, key: str, file: SpoolFile) -> None:
        file.unlink()  # before its identity is noted: it changes the time of the inode
        self._content.trust(key, file.fileno())

    @blocking
    def _publish(self, key: str, file: SpoolFile, *, replace: bool) -> bool:
        """Return False if another file has the name and was left.

        Directories may be removed at any moment, so some attempts are made.
        """
        os.fsync(file.fileno())
        for _ in range(_ATTEMPTS):
            with no_directory():
                return self._attempt(key, file, replace=replace)
            if not self._staging.is_dir():
                self._directories.restore_staging()
        return self._attempt(key, file, replace=replace)

    @blocking
    def _attempt(self, key: str, file: SpoolFile, *, replace: bool) -> bool:
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
            # Also for the loser: the winner may be killed before this line.
            os.fsync(directory)
            os.close(directory)

    @blocking
    def _replace(self, target: Path, file: SpoolFile) -> None:
        replacement = self._staging / f"replacement-{secrets.token_hex(16)}"
        spool.link(file, replacement)
        try:
            try:
                replacement.rename(target)
            except IsADirectoryError:
                self._directories.set_aside(target)
                replacement.rename(target)
        except BaseException:
            replacement.unlink(missing_ok=True)
            raise

    @blocking
    def _delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            path.unlink()
            sync(path.parent)

    @blocking
    def _keys(self, prefix: str) -> list[str]:
        found = []
        for directory, subdirectories, names in os.walk(self._root / prefix.rpartition("/")[0]):
            subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
            folder = Path(directory).relative_to(self._root)
            found += [(folder / name).as_posix() for name in names]
        return sorted(key for key in found if key.startswith(prefix) and is_key(key))


def _size_or_absent(key: str, size: int | None) -> int:
    if size is None:
        raise ObjectNotFound(key)
    return size


@blocking
def _each(look: Callable[[str], T], keys: Sequence[str]) -> list[T | None]:
    found: list[T | None] = []
    for key in keys:
        try:
            found.append(look(key))
        except ObjectNotFound:
            found.append(None)
    return found
