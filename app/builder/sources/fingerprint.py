"""The git tree hash of a directory on disk.  Repeated computation is cheap.

A clean checkout, a copy of it and an unpacked archive have the same hash, which is git's own.
Unlike git, no file is ignored, because Nix can read them all.  Exceptions are ``.git`` and
Python's ``__pycache__``, which differ between machines.
"""

import errno
import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from app.builder.sources.unpacking import DEEPEST
from app.system import threads
from app.system.blocking import blocking

# A file that changes twice within one tick of the file system's clock keeps its times.
_RACY_NANOSECONDS = 100_000_000
_CHUNK = 1024 * 1024
_LEFT_OUT = frozenset({".git", "__pycache__"})


@dataclass(frozen=True, slots=True)
class _HashedFile:
    """The hash of a file, and its inode, size and times at that moment."""

    signature: tuple[int, ...]
    digest: bytes


class Fingerprint:
    """The fingerprint of one path; caches the hashes of files by inode, size and times."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._hashed: dict[str, _HashedFile] = {}

    @blocking
    def take(self) -> str:
        """Return hexadecimal digits.  Raises OSError."""
        before, self._hashed, now = self._hashed, {}, time.time_ns()
        status = Path(self._path).stat()
        if stat.S_ISDIR(status.st_mode):
            return self._tree(self._path, before, now, level=0).hex()
        return self._file(self._path, status, before, now).hex()

    def _tree(
        self, directory: str, before: dict[str, _HashedFile], now: int, *, level: int
    ) -> bytes:
        threads.check()
        if level > DEEPEST:
            raise OSError(errno.ENAMETOOLONG, f"more than {DEEPEST} levels of directories")
        rows: list[tuple[bytes, bytes]] = []
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name in _LEFT_OUT:
                    continue
                row = self._row(entry, before, now, level=level + 1)
                if row is not None:
                    mode, digest = row
                    name = os.fsencode(entry.name)
                    # git sorts a directory as if its name ended in a slash.
                    sorting = name + b"/" if mode == b"40000" else name
                    rows.append((sorting, mode + b" " + name + b"\0" + digest))
        return _hash(b"tree", b"".join(row for _, row in sorted(rows)))

    def _row(
        self, entry: os.DirEntry[str], before: dict[str, _HashedFile], now: int, *, level: int
    ) -> tuple[bytes, bytes] | None:
        if entry.is_symlink():
            return b"120000", _hash(b"blob", os.fsencode(Path(entry.path).readlink()))
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            digest = self._tree(entry.path, before, now, level=level)
            # git does not record empty directories.
            return None if digest == _EMPTY_TREE else (b"40000", digest)
        if not stat.S_ISREG(status.st_mode):
            return None
        mode = b"100755" if status.st_mode & stat.S_IXUSR else b"100644"
        return mode, self._file(entry.path, status, before, now)

    def _file(
        self, path: str, status: os.stat_result, before: dict[str, _HashedFile], now: int
    ) -> bytes:
        signature = (
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        hashed = before.get(path)
        if hashed is None or hashed.signature != signature:
            hashed = _HashedFile(signature, _hash_file(path))
        if now - max(status.st_mtime_ns, status.st_ctime_ns) > _RACY_NANOSECONDS:
            self._hashed[path] = hashed
        return hashed.digest


def _hash(kind: bytes, body: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (kind, len(body)) + body, usedforsecurity=False).digest()


def _hash_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            threads.check()
    return digest.digest()


_EMPTY_TREE = _hash(b"tree", b"")
