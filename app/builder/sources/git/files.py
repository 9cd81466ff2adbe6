"""The files of a commit that git has, written to a directory."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from app.builder.sources.git.command import GitCommand, GitFailed, GitSaysTooMuch
from app.builder.sources.git.errors import fault_of_files
from app.builder.sources.unpacking import MOST_BYTES, TOO_LARGE, TOO_MANY, BadFiles, UnpackingFailed
from app.system import threads
from app.system.blocking import blocking
from app.system.workers import Workers

_LISTING = 64 * 1024 * 1024  # half a million files; nixpkgs has a tenth
_SIZE = re.compile(rb"^\d+ blob [0-9a-f]+ +(\d+)\t", re.MULTILINE)


class GitFiles:
    """Raises BadFiles, UnpackingFailed, OSError."""

    def __init__(self, *, git: GitCommand, workers: Workers) -> None:
        self._git = git
        self._workers = workers

    async def unpack(self, repository: Path, commit: str, path: Path, date: datetime) -> None:
        """As a checkout has them, in an empty directory; all bear the date, which flakes can see."""
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
        """Directories that an unpacked commit leaves to other repositories."""
        file = tree / ".gitmodules"
        if not await self._workers.run(file.exists):
            return ()
        pattern = r"^submodule\..*\.path$"
        with _unpacking():
            finished = await self._git.run(
                ["config", "--null", "--file", str(file), "--get-regexp", pattern]
            )
        rows = finished.stdout.decode(errors="replace").split("\0")
        return tuple(sorted(path for _, _, path in (row.partition("\n") for row in rows) if path))

    async def is_file(self, path: Path) -> bool:
        return await self._workers.run(path.is_file)

    async def _measure(self, repository: Path, commit: str) -> None:
        """Of a few kilobytes git can make more files than any disk or memory holds."""
        arguments = ["--git-dir", str(repository), "ls-tree", "-r", "-l", "--full-tree", commit]
        with _unpacking():
            try:
                finished = await self._git.run(arguments, output=_LISTING)
            except GitSaysTooMuch:
                raise BadFiles(TOO_MANY) from None
            if finished.code != 0:
                raise self._git.failed(finished)
        if await self._workers.run(_size, finished.stdout) > MOST_BYTES:
            raise BadFiles(TOO_LARGE)

    async def _write(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        with _unpacking():
            finished = await self._git.run(arguments, environment)
            if finished.code != 0:
                if fault := fault_of_files(finished.stderr.decode(errors="replace")):
                    raise BadFiles(fault)
                raise self._git.failed(finished)


@contextmanager
def _unpacking() -> Iterator[None]:
    try:
        yield
    except GitFailed as error:
        raise UnpackingFailed(str(error)) from None


@blocking
def _size(listing: bytes) -> int:
    """If there are many.  Of all files that git lists."""
    return sum(int(size) for size in _SIZE.findall(listing))


@blocking
def _set_times(root: Path, moment: float) -> None:
    for directory, directories, files in os.walk(root, topdown=False):
        threads.check()
        for name in (*directories, *files, "."):
            os.utime(Path(directory) / name, (moment, moment), follow_symlinks=False)
