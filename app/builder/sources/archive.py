"""Archives from git hosts: one directory with the files of a commit, dated by the commit."""

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from app.builder.sources.commits import FULL_COMMIT
from app.builder.sources.unpacking import (
    DEEPEST,
    MOST_BYTES,
    MOST_FILES,
    TOO_DEEP,
    TOO_LARGE,
    TOO_MANY,
    FilesInvalid,
    date_of,
)
from app.system import threads
from app.system.blocking import blocking
from app.system.xz import XzReader

_CHUNK = 1 << 20
# The size of an unpacked archive: its files, and a header for each.
_MOST_UNPACKED = MOST_BYTES + MOST_FILES * 2048
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open))
_XZ = b"\xfd7zXZ\0"


class ArchiveInvalid(Exception):
    """The download is not an archive of a commit, or is incomplete."""


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """The facts that are at the start of an archive.

    ``commit`` is None if the archive has no global comment, in which git writes it.
    """

    commit: str | None
    date: int


@blocking
def read_head(file: IO[bytes]) -> ArchiveHead:
    """Return what an archive states of its commit.  Raises ArchiveInvalid, FilesInvalid."""
    with _translate_archive_errors(), _open_archive(file) as archive:
        first = archive.next()
        if first is None:
            raise ArchiveInvalid("the archive is empty")
        comment = archive.pax_headers.get("comment", "")
        date = int(date_of(first.mtime).timestamp())
        return ArchiveHead(comment if FULL_COMMIT.fullmatch(comment) else None, date)


@blocking
def unpack(file: IO[bytes], root: Path) -> None:
    """Write the files of the archive's directory to ``root``, and set its date.

    Owners and times of files are ignored; a file is executable or not, as in git.
    Raises ArchiveInvalid, FilesInvalid, OSError.
    """
    date = read_head(file).date
    with _translate_archive_errors(), _open_archive(file) as archive:
        links: set[PurePosixPath] = set()
        number = size = 0
        while (member := archive.next()) is not None:
            # tarfile keeps all members by default.
            archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
            threads.check()
            number += 1
            if number > MOST_FILES:
                raise FilesInvalid(TOO_MANY)
            if member.size < 0:
                raise ArchiveInvalid("a damaged archive: a size is negative")
            size += member.size
            if size > MOST_BYTES:
                raise FilesInvalid(TOO_LARGE)
            path = _inside(member.name)
            if path.parts:
                _unpack(archive, member, path, root, links)
        # A stream that was truncated between two files fails only at its end.
        assert archive.fileobj is not None
        while archive.fileobj.read(_CHUNK):
            pass
    os.utime(root, (date, date))


@contextmanager
def _open_archive(file: IO[bytes]) -> Iterator[tarfile.TarFile]:
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    with _unpacked(file, start) as unpacked:
        bounded = cast("IO[bytes]", _Bounded(cast("IO[bytes]", unpacked)))
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            yield archive


def _unpacked(file: IO[bytes], start: bytes) -> AbstractContextManager[object]:
    if start.startswith(_XZ):
        return nullcontext(XzReader(file))
    opener = next((open_ for magic, open_ in _OPENERS if start.startswith(magic)), None)
    return nullcontext(file) if opener is None else opener(file, "rb")


class _Bounded:
    """A stream with a limit for its size, and for the size of each read.

    A few compressed kilobytes can expand to any number of bytes, also before the first file and
    after the last.  A header can claim any size, which tarfile would read at once.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        threads.check()
        if not 0 <= size <= _CHUNK:
            raise ArchiveInvalid("a damaged archive: a header is too large")
        if self._file.tell() > _MOST_UNPACKED:  # plain: ok
            raise FilesInvalid(TOO_LARGE)
        return self._file.read(size)

    def tell(self) -> int:  # plain: ok
        return self._file.tell()  # plain: ok

    def seek(self, position: int) -> int:
        if not 0 <= position <= _MOST_UNPACKED:
            raise FilesInvalid(TOO_LARGE)
        while position - self._file.tell() > _CHUNK:  # plain: ok
            threads.check()
            if not self._file.read(_CHUNK):
                break
        return self._file.seek(position)


@contextmanager
def _translate_archive_errors() -> Iterator[None]:
    """Raise ArchiveInvalid for a damaged archive; an OSError of the system has a number."""
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise ArchiveInvalid(f"a damaged archive: {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise ArchiveInvalid(f"a damaged archive: {error}") from None


def _inside(name: str) -> PurePosixPath:
    """Return the path below the archive's directory.  Raises FilesInvalid."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise FilesInvalid("a file is outside of the archive's directory")
    if len(path.parts) > DEEPEST:
        raise FilesInvalid(TOO_DEEP)
    return PurePosixPath(*path.parts[1:])


def _unpack(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: PurePosixPath,
    root: Path,
    links: set[PurePosixPath],
) -> None:
    if any(parent in links for parent in (path, *path.parents)):
        raise FilesInvalid("the path of a file contains a link")
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        target.mkdir(exist_ok=True)
    elif member.issym():
        if not member.linkname:
            raise FilesInvalid("a link has no target")
        links.add(path)
        target.symlink_to(member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        assert content is not None
        with content, target.open("xb") as file:
            while chunk := content.read(_CHUNK):
                file.write(chunk)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
    else:
        raise FilesInvalid("one is not a file, directory or link")
