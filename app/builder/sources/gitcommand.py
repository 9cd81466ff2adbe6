"""Git's own program, asked for refs, commits and files."""

import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

from app.builder.running.locks import EXCLUSIVE, locked
from app.builder.running.process import Finished, Limits, OutOfSpace, OutOfTime, ProgramMissing, run
from app.builder.running.workers import Workers
from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.builder.sources.gitaccess import GitAccess
from app.builder.sources.gitwords import cause, fault_of_files
from app.builder.sources.unpacking import MOST_BYTES, TOO_LARGE, TOO_MANY, BadFiles, UnpackingFailed
from app.errors import Unavailable

_LISTING = 128 * 1024 * 1024
_FILES_LISTED = 64 * 1024 * 1024  # half a million of them; nixpkgs has a tenth
_VERSION_SECONDS = 30
_MISSING = "git is not installed (apt-get install git)"


class GitFailed(Exception):
    """The message is one line, without the repository's address."""


class GitSaysTooMuch(GitFailed):
    """More than anything should be answered with."""


async def check_git(environment: Mapping[str, str]) -> None:
    """Raises Unavailable where there is no git."""
    try:
        limits = Limits(seconds=_VERSION_SECONDS)
        await run(["git", "--version"], environment=environment, limits=limits)
    except ProgramMissing:
        raise Unavailable(_MISSING) from None


class GitCommand:
    """Git for one source.

    A question to the repository may take ``asking_seconds``, a download ``seconds``.
    """

    def __init__(
        self,
        *,
        definition: GitDefinition | FlakeDefinition,
        environment: Mapping[str, str],
        directory: Path,
        workers: Workers,
        asking_seconds: float,
        seconds: float,
    ) -> None:
        self._definition = definition
        self._access = GitAccess(
            definition=definition, environment=environment, directory=directory
        )
        self._workers = workers
        self._asking_seconds = asking_seconds
        self._seconds = seconds

    async def refs(self, location: str) -> dict[str, str]:
        """What HEAD and all branches and tags stand for in the repository.

        A host that is asked for one of them sends them all the same: git itself takes its pick.
        A host that is silent must not keep for long those whom the last answer would serve.
        """
        command = ["ls-remote", "--quiet", "--", location, "HEAD", "refs/heads/*", "refs/tags/*"]
        return _refs(self._output(await self._run(command, seconds=self._asking_seconds)))

    async def commit_date(self, repository: Path, commit: str) -> int | None:
        """Seconds since 1970 if the repository has the commit with its files."""
        # Not show, which goes through all files of a commit without parents to say nothing of them.
        arguments = ["log", "--no-walk", "--format=%ct", f"{commit}^{{commit}}"]
        finished = await self._run(["--git-dir", str(repository), *arguments])
        text = finished.stdout.decode(errors="replace").strip()
        return int(text) if finished.code == 0 and text.isdigit() else None

    async def fetch_commit(self, repository: Path, location: str, commit: str) -> None:
        """A commit and its files; no error if there is no such commit."""
        async with self._writing(repository):
            arguments = [*_FETCH, "--depth=1", "--", location]
            finished = await self._run(["--git-dir", str(repository), *arguments, commit])
            if finished.code != 0 and _UNADVERTISED.search(finished.stderr):
                # An old server hands out only what a branch or tag names: take all of that.
                await self._speak("--git-dir", str(repository), *_FETCH, "--", location, *_ALL)
            elif finished.code != 0 and not _ABSENT.search(finished.stderr):
                raise self._failed(finished)

    async def fetch_history(self, repository: Path, location: str) -> None:
        """All commits, without files where the server can leave them out."""
        async with self._writing(repository):
            await self._speak(
                *("--git-dir", str(repository), *_FETCH, "--filter=tree:0", "--", location, *_ALL)
            )

    async def commits_beginning(self, repository: Path, short: str) -> list[str]:
        """Full names of the commits whose names begin so, in a repository that may be absent."""
        if not await self._workers.run((repository / "HEAD").exists):
            return []
        base = ("--git-dir", str(repository))
        output = await self._speak(*base, "rev-parse", f"--disambiguate={short}")
        objects = output.split()
        kinds = [await self._speak(*base, "cat-file", "-t", name) for name in objects]
        return [name for name, kind in zip(objects, kinds, strict=True) if kind == "commit\n"]

    async def unpack(self, repository: Path, commit: str, path: Path, date: datetime) -> None:
        """The commit's files, as a checkout has them, in an empty directory.

        All bear the date, since flakes can see it.  Raises BadFiles, UnpackingFailed, OSError.
        """
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
        """Directories that an unpacked commit leaves to other repositories.

        Raises UnpackingFailed.
        """
        file = tree / ".gitmodules"
        if not await self._workers.run(file.exists):
            return ()
        pattern = r"^submodule\..*\.path$"
        with _unpacking():
            finished = await self._run(
                ["config", "--null", "--file", str(file), "--get-regexp", pattern]
            )
        rows = finished.stdout.decode(errors="replace").split("\0")
        return tuple(sorted(path for _, _, path in (row.partition("\n") for row in rows) if path))

    async def _measure(self, repository: Path, commit: str) -> None:
        """Of a few kilobytes git can make more files than any disk or memory holds."""
        with _unpacking():
            try:
                finished = await self._run(
                    ["--git-dir", str(repository), "ls-tree", "-r", "-l", "--full-tree", commit],
                    output=_FILES_LISTED,
                )
            except GitSaysTooMuch:
                raise BadFiles(TOO_MANY) from None
            self._output(finished)
        if await self._workers.run(_size, finished.stdout) > MOST_BYTES:
            raise BadFiles(TOO_LARGE)

    async def _write(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Files; raises BadFiles, UnpackingFailed."""
        with _unpacking():
            finished = await self._run(arguments, environment)
            if finished.code != 0:
                if fault := fault_of_files(finished.stderr.decode(errors="replace")):
                    raise BadFiles(fault)
                raise self._failed(finished)

    @asynccontextmanager
    async def _writing(self, repository: Path) -> AsyncIterator[None]:
        """Alone in the repository, which is made if absent."""
        lock = repository.with_suffix(repository.suffix + ".lock")
        async with locked(lock, EXCLUSIVE, workers=self._workers):
            if not await self._workers.run((repository / "HEAD").exists):
                await self._speak("init", "--quiet", "--bare", "--template=", "--", str(repository))
            await self._workers.run(_drop_locks, repository)
            yield

    async def _speak(self, *arguments: str) -> str:
        """Standard output; raises GitFailed."""
        return self._output(await self._run(arguments))

    def _output(self, finished: Finished) -> str:
        if finished.code != 0:
            raise self._failed(finished)
        return finished.stdout.decode(errors="replace")

    async def _run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
        output: int = _LISTING,
    ) -> Finished:
        await self._workers.run(self._access.prepare)
        try:
            return await run(
                ["git", *arguments],
                environment={**self._access.environment, **(environment or {})},
                limits=Limits(seconds=seconds or self._seconds, output=output),
            )
        except ProgramMissing:
            raise GitFailed(_MISSING) from None
        except OutOfTime as error:
            raise GitFailed(f"no answer within {error.limit}") from None
        except OutOfSpace as error:
            raise GitSaysTooMuch(f"more than {error.limit}") from None

    def _failed(self, finished: Finished) -> GitFailed:
        return GitFailed(cause(finished.stderr.decode(errors="replace"), self._definition))


_FILE_SIZE = re.compile(rb"^\d+ blob [0-9a-f]+ +(\d+)\t", re.MULTILINE)
_ABSENT = re.compile(rb"not our ref|couldn't find remote ref")
_UNADVERTISED = re.compile(rb"unadvertised object")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force")
_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@contextmanager
def _unpacking() -> Iterator[None]:
    try:
        yield
    except GitFailed as error:
        raise UnpackingFailed(str(error)) from None


def _size(listing: bytes) -> int:
    """Blocking, if there are many.  Of all files that git lists."""
    return sum(int(size) for size in _FILE_SIZE.findall(listing))


def _set_times(root: Path, moment: float) -> None:
    """Blocking."""
    for directory, directories, files in os.walk(root, topdown=False):
        for name in (*directories, *files, "."):
            os.utime(Path(directory) / name, (moment, moment), follow_symlinks=False)


def _drop_locks(repository: Path) -> None:
    """Blocking.  A killed git leaves its locks; ours says that nobody else is here."""
    for lock in repository.rglob("*.lock"):
        lock.unlink(missing_ok=True)


def _refs(output: str) -> dict[str, str]:
    rows = (line.partition("\t") for line in output.splitlines())
    return {name: commit for commit, _, name in rows if name}
