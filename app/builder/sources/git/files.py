"""Write the files of a commit to a directory, with the bytes that the commit has.

Git converts files as the attributes in a repository state: ends of lines, encodings, ``$Id$``.  Nix
and archives of git hosts do so in part or not at all, and a commit could choose what is evaluated.
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from app.builder.sources.git.command import GitCommand, GitFailed, GitOutputTooLarge
from app.builder.sources.git.errors import explain_files
from app.builder.sources.unpacking import (
    DEEPEST,
    MOST_BYTES,
    TOO_DEEP,
    TOO_LARGE,
    TOO_MANY,
    FilesInvalid,
    UnpackingFailed,
)
from app.system import threads
from app.system.blocking import blocking
from app.system.workers import Workers
from app.text.sanitize import one_line_for_client

_LISTING = 96 * 1024 * 1024  # half a million files and their directories; nixpkgs has a tenth
_SUBMODULES = 1024 * 1024
_SHOWN = 8
_SHOWN_LENGTH = 100
_SIZE = re.compile(rb"^\d+ blob [0-9a-f]+ +(\d+)\t", re.MULTILINE)
# Attributes of the repository itself take precedence over those of a commit.  Git accepts a value
# of working-tree-encoding or none, but not its negation.
_NO_CONVERSION = "* -text -ident -filter !working-tree-encoding\n"
_INCOMPLETE = "some have the same name, or are neither files nor links"


class GitFiles:
    """Writes commits to directories.  Methods raise FilesInvalid, UnpackingFailed, OSError."""

    def __init__(self, *, git: GitCommand, workers: Workers) -> None:
        self._git = git
        self._workers = workers

    async def unpack(self, repository: Path, commit: str, path: Path, date: datetime) -> None:
        """Check out a commit in an empty directory; all files get its date, which flakes can read."""
        index = path.with_name(path.name + ".index")
        base = ["--git-dir", str(repository), "--work-tree", str(path)]
        environment = {"GIT_INDEX_FILE": str(index)}
        files = await self._measure(repository, commit)
        await self._workers.run(_convert_nothing, repository)
        try:
            await self._write([*base, "read-tree", commit], environment)
            await self._write([*base, "checkout-index", "--all"], environment)
        finally:
            await self._workers.run(index.unlink, missing_ok=True)
        # Git leaves out what it cannot represent, such as the first of two files with one name.
        if await self._workers.run(_set_times, path, date.timestamp()) != files:
            raise FilesInvalid(_INCOMPLETE)

    async def submodules(self, tree: Path) -> tuple[str, ...]:
        """Return the first directories of submodules, which stay empty, for a message."""
        file = tree / ".gitmodules"
        if not await self._workers.run(file.exists):
            return ()
        pattern = r"^submodule\..*\.path$"
        arguments = ["config", "--null", "--file", str(file), "--get-regexp", pattern]
        with _translate_git_errors():
            try:
                finished = await self._git.run(arguments, output=_SUBMODULES)
            except GitOutputTooLarge:
                return ()
        rows = finished.stdout.decode(errors="replace").split("\0")
        paths = sorted(path for _, _, path in (row.partition("\n") for row in rows) if path)
        return tuple(one_line_for_client(path, _SHOWN_LENGTH) for path in paths[:_SHOWN])

    async def is_file(self, path: Path) -> bool:
        return await self._workers.run(path.is_file)

    async def _measure(self, repository: Path, commit: str) -> int:
        """Check size and depth first, and return the number of files.

        A commit of a few kilobytes can have any number of files and of empty directories.
        """
        arguments = ["--git-dir", str(repository), "ls-tree", "-r", "-t", "-l", "--full-tree"]
        with _translate_git_errors():
            try:
                finished = await self._git.run([*arguments, commit], output=_LISTING)
            except GitOutputTooLarge:
                raise FilesInvalid(TOO_MANY) from None
            if finished.code != 0:
                raise self._git.failed(finished)
        return await self._workers.run(_check, finished.stdout)

    async def _write(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        with _translate_git_errors():
            finished = await self._git.run(arguments, environment)
            if finished.code != 0:
                if fault := explain_files(finished.stderr.decode(errors="replace")):
                    raise FilesInvalid(fault)
                raise self._git.failed(finished)


@contextmanager
def _translate_git_errors() -> Iterator[None]:
    try:
        yield
    except GitFailed as error:
        raise UnpackingFailed(str(error)) from None


@blocking
def _check(listing: bytes) -> int:
    """Check the size of all files and the depth of each; return their number.

    Raises FilesInvalid.
    """
    sizes = _SIZE.findall(listing)
    if sum(int(size) for size in sizes) > MOST_BYTES:
        raise FilesInvalid(TOO_LARGE)
    if any(path.count(b"/") > DEEPEST for path in listing.splitlines()):
        raise FilesInvalid(TOO_DEEP)
    return len(sizes)


@blocking
def _convert_nothing(repository: Path) -> None:
    """Write the attributes; several processes may do so at the same time."""
    file = repository / "info" / "attributes"
    if file.exists():
        return
    file.parent.mkdir(exist_ok=True)
    new = file.with_name(f"attributes.{secrets.token_hex(8)}")
    new.write_text(_NO_CONVERSION)
    new.rename(file)


@blocking
def _set_times(root: Path, moment: float) -> int:
    """Return the number of files and links."""
    number = 0
    for directory, directories, files in os.walk(root, topdown=False):
        threads.check()
        for name in (*directories, *files, "."):
            os.utime(Path(directory) / name, (moment, moment), follow_symlinks=False)
        number += len(files) + sum((Path(directory) / name).is_symlink() for name in directories)
    return number
