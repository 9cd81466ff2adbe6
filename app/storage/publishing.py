"""Write objects into the directory of a storage: data first, then the name, then its directory."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from app.storage import spool
from app.storage.base import ObjectNotFound
from app.storage.content_check import ContentCheck
from app.storage.directories import Directories, no_directory
from app.storage.keys import sha256_of_blob
from app.storage.objects import Objects
from app.storage.removing import remove_if
from app.storage.spool import SpoolFile
from app.system.blocking import blocking_class

# Attempts to publish an object while its directories are being removed.
_ATTEMPTS = 3
_COPIED = 1 << 20
# No key begins with a dot.
_STAGING = ".staging"


@blocking_class
class Publisher:
    """Writes objects: one that has a name is on the disk.

    Keys are valid; methods raise OSError.

    ``content`` notes each object that is written here, which is then not hashed again.
    """

    def __init__(self, root: Path, *, objects: Objects, content: ContentCheck) -> None:
        self._root = root
        self._staging = root / _STAGING
        self._objects = objects
        self._content = content
        self._directories = Directories(root, self._staging)
        self._new_spool: spool.NewSpool = spool.unnamed

    def prepare(self) -> None:
        """Make the directory, and choose the kind of spool file.  Raises StorageUnavailable."""
        self._new_spool = spool.prepare(self._staging)

    def spool(self) -> SpoolFile:
        """Return a spool file, also if the staging directory was removed since the start."""
        with no_directory():
            return self._new_spool(self._staging)
        self._directories.restore_staging()
        return self._new_spool(self._staging)

    def check(self) -> None:
        self.spool().close()
        spool.attempt(self._new_spool, self._staging)

    def write(self, key: str, body: bytes) -> None:
        with self.spool() as file:
            file.write(body)
            self._publish(key, file, replace=True)
            self._note_written(key, file, body)

    def create(self, key: str, body: bytes) -> bytes:
        with self.spool() as file:
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

    def remove_if(self, key: str, is_useless: Callable[[BinaryIO | None], bool]) -> bool:
        return remove_if(self._objects, key, is_useless, staging=self._staging)

    def adopt(self, key: str, file: BinaryIO) -> None:
        """Store the file, and close it."""
        ours = spool.flushed(file)
        if ours is not None:
            self._publish_content(key, ours)
        else:
            with self.spool() as copy:
                file.seek(0)
                shutil.copyfileobj(file, copy, _COPIED)
                self._publish_content(key, copy)
        file.close()

    def _publish_content(self, key: str, file: SpoolFile) -> None:
        """Replace a damaged object: one of other bytes than the digest, or another size."""
        if not self._publish(key, file, replace=False):
            with suppress(ObjectNotFound):  # wrong, deleted since, or not a file
                if self._content.size(key) == os.fstat(file.fileno()).st_size:
                    return
            self._publish(key, file, replace=True)
        self._trust(key, file)

    def _note_written(self, key: str, file: SpoolFile, body: bytes) -> None:
        digest = sha256_of_blob(key)
        if digest is not None and hashlib.sha256(body).hexdigest() == digest:
            self._trust(key, file)

    def _trust(self, key: str, file: SpoolFile) -> None:
        file.unlink()  # before its identity is noted: it changes the time of the inode
        self._content.trust(key, file.fileno())

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

    def _attempt(self, key: str, file: SpoolFile, *, replace: bool) -> bool:
        target = self._root / key
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

    def _replace(self, target: Path, file: SpoolFile) -> None:
        replacement = self._staging / f"replacement-{secrets.token_hex(16)}"
        spool.link(file, replacement)
        try:
            try:
                replacement.rename(target)
            except IsADirectoryError:
                self._directories.set_aside(target, is_directory=True)
                replacement.rename(target)
        except BaseException:
            replacement.unlink(missing_ok=True)
            raise
