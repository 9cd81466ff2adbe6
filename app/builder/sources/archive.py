"""Archives as git hosts make them: one directory with a commit's files, dated by the commit."""

import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK = 1 << 20


class BadArchive(Exception):
    """What came is no archive of a commit, or one that reaches outside its directory."""


@dataclass(frozen=True, slots=True)
class ArchiveHead:
    """``commit`` is None if the archive does not tell (git writes it as a global comment)."""

    commit: str | None
    date: int


def read_head(file: IO[bytes]) -> ArchiveHead:
    """Blocking.  Raises BadArchive."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:*") as archive:
            first = archive.next()
            if first is None:
                raise BadArchive("the archive is empty")
            comment = archive.pax_headers.get("comment", "")
            return ArchiveHead(comment if _COMMIT.fullmatch(comment) else None, int(first.mtime))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadArchive(f"not an archive: {error}") from None


def unpack(file: IO[bytes], root: Path) -> None:
    """Blocking.  The files below the archive's one directory, and its date as the root's.

    Owners, times and special files are nobody's business; modes are git's two.
    """
    date = read_head(file).date
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:*") as archive:
            links: set[PurePosixPath] = set()
            for member in archive:
                path = _inside(member.name)
                if path.parts:
                    _unpack(archive, member, path, root, links)
            # A stream that was cut between two files shows only at its very end.
            assert archive.fileobj is not None
            while archive.fileobj.read(_CHUNK):
                pass
    except (tarfile.TarError, EOFError) as error:
        raise BadArchive(f"a damaged archive: {error}") from None
    os.utime(root, (date, date))


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadArchive("the archive has a file outside its directory")
    return PurePosixPath(*path.parts[1:])


def _unpack(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: PurePosixPath,
    root: Path,
    links: set[PurePosixPath],
) -> None:
    if any(parent in links for parent in (path, *path.parents)):
        raise BadArchive("the archive has a file behind a link")
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        target.mkdir(exist_ok=True)
    elif member.issym():
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
        raise BadArchive(f"the archive has a member that is no file, directory or link: {path}")
