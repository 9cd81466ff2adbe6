"""Write the files of a commit to a directory."""

import os
import re
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

_LISTING = 64 * 1024 * 1024  # half a million files; nixpkgs has a tenth
_SIZE = re.compile(rb"^\d+ blob [0-9a-f]+ +(\d+)\t", re.MULTILINE)


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
        await self._measure(repository, commit)
        try:
            await self._write([*base, "read-tree", commit], environment)
            await self._write([*base, "checkout-index", "--all"], environment)
        finally:
            await self._workers.run(index.unlink, missing_ok=True)
        await self._workers.run(_set_times, path, date.timestamp())

    async def submodules(self, tree: Path) -> tuple[str, ...]:
        """Return the directories of submodules, which stay empty."""
        file = tree / ".gitmodules"
        if not await self._workers.run(file.exists):
            return ()
        pattern = r"^submodule\..*\.path$"
        with _translate_git_errors():
            finished = await self._git.run(
                ["config", "--null", "--file", str(file), "--get-regexp", pattern]
            )
        rows = finished.stdout.decode(errors="replace").split("\0")
        return tuple(sorted(path for _, _, path in (row.partition("\n") for row in rows) if path))

    async def is_file(self, path: Path) -> bool:
        return await self._workers.run(path.is_file)

    async def _measure(self, repository: Path, commit: str) -> None:
        """Check size and depth first: a commit of a few kilobytes can have any number of files."""
        arguments = ["--git-dir", str(repository), "ls-tree", "-r", "-l", "--full-tree", commit]
        with _translate_git_errors():
            try:
                finished = await self._git.run(arguments, output=_LISTING)
            except GitOutputTooLarge:
                raise FilesInvalid(TOO_MANY) from None
            if finished.code != 0:
                raise self._git.failed(finished)
        await self._workers.run(_check, finished.stdout)

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
def _check(listing: bytes) -> None:
    """Check the size of all files and the depth of each.  Raises FilesInvalid."""
    if sum(int(size) for size in _SIZE.findall(listing)) > MOST_BYTES:
        raise FilesInvalid(TOO_LARGE)
    if any(path.count(b"/") > DEEPEST for path in listing.splitlines()):
        raise FilesInvalid(TOO_DEEP)


@blocking
def _set_times(root: Path, moment: float) -> None:
    for directory, directories, files in os.walk(root, topdown=False):
        threads.check()
        for name in (*directories, *files, "."):
            os.utime(Path(directory) / name, (moment, moment), follow_symlinks=False)
