"""Check blob files against their digest before they count as stored.

Files may be changed by hand, by a disk or by another program while servers run.  A file whose
identity is known (inode, size, times) was written or hashed by this process; any other one is
hashed first.  A disk that returns other bytes without a change of these is found by
``nixery verify`` only.
"""

import hashlib
import os
import struct
import time
from collections.abc import Callable
from io import FileIO
from typing import NamedTuple

from loguru import logger

from app.storage import keys
from app.storage.base import Content, LocalFile, Location, ObjectNotFound
from app.storage.objects import Objects
from app.system import threads
from app.system.blocking import blocking
from app.system.cache import Cache

_LIMIT = 100_000
_CHUNK = 1 << 20
# Files of at most this size are read when they are located.
_SMALL = 64 << 10
_IDENTITY = struct.Struct("=QQQQ")
# A file may have any time: in nanoseconds, those beyond 2262 need more than 64 bits with a sign.
_WORD = (1 << 64) - 1
# Times of files move in ticks: a write within the tick of another one does not show.
_TICK_SECONDS = 0.1
# A file that is being written again and again is not an object.
_ATTEMPTS = 3


class _Verdict(NamedTuple):
    identity: bytes
    is_whole: bool


class ContentCheck:
    """Methods that raise ObjectNotFound do so for a blob whose bytes do not match its digest.

    Every method but ``known_size`` blocks for as long as a file is hashed.
    """

    def __init__(self, objects: Objects, *, clock: Callable[[], float] = time.time) -> None:
        self._objects = objects
        self._clock = clock
        self._verdicts: Cache[bytes, _Verdict] = Cache(_LIMIT)
        self._logged: Cache[bytes, bytes] = Cache(_LIMIT)

    @blocking
    def known_size(self, key: str) -> int | None:
        """Return the size; None if the file has to be hashed first."""
        digest, status = keys.sha256_of_blob(key), self._objects.status(key)
        if digest is None:
            return status.st_size
        verdict = self._verdicts.get(bytes.fromhex(digest))
        if verdict is None or verdict.identity != _identity(status):
            return None
        if not verdict.is_whole:
            raise ObjectNotFound(key)
        return status.st_size

    @blocking
    def locate(self, key: str) -> Location | None:
        """Return None for a file that has to be hashed first; read or open others at once.

        Turns of threads, to open and to send a small file, would cost more than its bytes.
        """
        size = self.known_size(key)
        if size is None:
            return None
        if size <= _SMALL:
            body = self._objects.read(key)
            if len(body) == size:
                return Content(body)
        file = self.open(key)
        return LocalFile(self._objects.path(key), os.fstat(file.fileno()).st_size, file)

    @blocking
    def size(self, key: str) -> int:
        known = self.known_size(key)
        if known is not None:
            return known
        with self.open(key) as file:
            return os.fstat(file.fileno()).st_size

    @blocking
    def open(self, key: str) -> FileIO:
        file = self._objects.open(key)
        try:
            digest = keys.sha256_of_blob(key)
            if digest is not None:
                self._check(key, digest, file)
        except BaseException:
            file.close()
            raise
        return file

    @blocking
    def trust(self, key: str, descriptor: int) -> None:
        """Note that this process wrote the file, with the bytes of the key."""
        digest = keys.sha256_of_blob(key)
        if digest is not None:
            self._keep(digest, os.fstat(descriptor), is_whole=True)
            self._logged.pop(bytes.fromhex(digest))

    def _check(self, key: str, digest: str, file: FileIO) -> None:
        """Raise ObjectNotFound unless the file has the bytes of the digest."""
        for _ in range(_ATTEMPTS):
            before = os.fstat(file.fileno())
            verdict = self._verdicts.get(bytes.fromhex(digest))
            if verdict is not None and verdict.identity == _identity(before):
                is_whole = verdict.is_whole
            else:
                started = self._clock()
                is_whole = self._hash(key, file) == digest
                if _identity(os.fstat(file.fileno())) != _identity(before):
                    continue
                if abs(started - max(before.st_ctime, before.st_mtime)) > _TICK_SECONDS:
                    self._keep(digest, before, is_whole=is_whole)
            if is_whole:
                return
            self._log(key, digest, before)
            break
        raise ObjectNotFound(key)

    def _hash(self, key: str, file: FileIO) -> str:
        try:
            return _hash(file)
        except OSError as error:
            raise self._objects.absent(key, error) from None

    def _keep(self, digest: str, status: os.stat_result, *, is_whole: bool) -> None:
        self._verdicts[bytes.fromhex(digest)] = _Verdict(_identity(status), is_whole)

    def _log(self, key: str, digest: str, status: os.stat_result) -> None:
        """Log each wrong file once."""
        if self._logged.get(bytes.fromhex(digest)) != _identity(status):
            self._logged[bytes.fromhex(digest)] = _identity(status)
            logger.warning(
                "the stored object {} counts as missing: its bytes are not those of its digest", key
            )


def _identity(status: os.stat_result) -> bytes:
    return _IDENTITY.pack(
        status.st_ino, status.st_size, status.st_mtime_ns & _WORD, status.st_ctime_ns & _WORD
    )


@blocking
def _hash(file: FileIO) -> str:
    """Return the file's sha256 and rewind it."""
    found = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    file.seek(0)
    while size := file.readinto(buffer):
        found.update(buffer[:size])
        threads.check()
    file.seek(0)
    return found.hexdigest()
