"""Stored files as objects: only a readable regular file is one.

The directory may change while servers run.  A link, a directory, a device or a file that the disk
cannot read counts as absent, so that the object is stored again.
"""

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from loguru import logger

from app.storage.base import READ_LIMIT, ObjectNotFound
from app.system.blocking import blocking_class
from app.system.cache import Cache

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})
# Errors of a name that is not a readable file.
_FOREIGN = frozenset(
    {errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EIO, errno.EBADMSG, errno.EUCLEAN}
)
# O_NONBLOCK: opening a pipe would wait for a writer.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NOTED = 10_000
# A file of holes may claim any size, and hashing a terabyte takes an hour.  Objects are compressed,
# so that no file system stores one in a thousandth of its size.
_HOLES_SIZE = 64 << 20
_HOLES_RATIO = 1024
_BLOCK = 512  # of st_blocks


@blocking_class
class Objects:
    """Each method raises ObjectNotFound, and OSError for other failures."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._noted: Cache[str, None] = Cache(_NOTED)

    def path(self, key: str) -> Path:
        return self._root / key

    def status(self, key: str) -> os.stat_result:
        try:
            status = self.path(key).lstat()
        except OSError as error:
            raise self.absent(key, error) from None
        self._check(key, status)
        return status

    def open(self, key: str) -> FileIO:
        try:
            file = FileIO(os.open(self._root / key, _FLAGS), "rb")
        except OSError as error:
            raise self.absent(key, error) from None
        try:
            self._check(key, os.fstat(file.fileno()))
        except BaseException:
            file.close()
            raise
        return file

    def read(self, key: str) -> bytes:
        with self.open(key) as file:
            if os.fstat(file.fileno()).st_size > READ_LIMIT:
                raise self._foreign(key, "it is too large")
            try:
                return file.readall()
            except OSError as error:
                raise self.absent(key, error) from None

    def _check(self, key: str, status: os.stat_result) -> None:
        if stat.S_ISDIR(status.st_mode):
            # A prefix of keys, such as "blobs".
            raise ObjectNotFound(key)
        if not stat.S_ISREG(status.st_mode):
            raise self._foreign(key, "it is not a file")
        if status.st_size > max(_HOLES_SIZE, status.st_blocks * _BLOCK * _HOLES_RATIO):
            raise self._foreign(key, "it consists of holes")

    def absent(self, key: str, error: OSError) -> Exception:
        if error.errno in _ABSENT:
            return ObjectNotFound(key)
        if error.errno in _FOREIGN:
            return self._foreign(key, error.strerror or str(error))
        if error.errno == errno.EACCES and os.path.lexists(self.path(key)):
            # The file's own permissions: those of the directory would hide it.
            return self._foreign(key, "the server may not read it")
        return error

    def _foreign(self, key: str, reason: str) -> ObjectNotFound:
        """Log it once."""
        if key not in self._noted:
            self._noted[key] = None
            logger.warning("the stored object {} counts as missing: {}", key, reason)
        return ObjectNotFound(key)
