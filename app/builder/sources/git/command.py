"""Run git to list refs and to fetch commits."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio

from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.builder.sources.git import kept
from app.builder.sources.git.access import GitAccess
from app.builder.sources.git.errors import explain, host_of
from app.errors import Unavailable
from app.system.blocking import blocking
from app.system.directory_trees import files_below
from app.system.environment import for_git
from app.system.locks import EXCLUSIVE, LockHeld, locked
from app.system.process import (
    Finished,
    Limits,
    OutOfSpace,
    OutOfTime,
    ProgramMissing,
    ProgramNotStarted,
    run,
)
from app.system.state_directory import translate_state_errors
from app.system.workers import Workers

_LISTING = 128 * 1024 * 1024
_REFS = 32 * 1024 * 1024  # half a million refs; nixpkgs has some thousand branches and tags
_FILE = 8 * 1024**3  # of a pack, compressed; a commit's files may have 4 GiB
# A pack of some kilobytes can have files of gigabytes, which git computes in memory.  The history of
# a set like nixpkgs takes half of this if its host sends the files too.
_MEMORY = 2 * 1024**3
_LISTING_MEMORY = 512 * 1024**2  # git keeps the list of refs in memory, as it was compressed too
_VERSION_SECONDS = 30
_COMMITS = 24  # that are kept, without their history
# Each fetch adds a pack, and git searches all of them; git's own limit is the same (gc.autoPackLimit).
_PACKS = 50
_MISSING = "git is not installed (apt-get install git)"


class GitFailed(Exception):
    """Git failed; the message is one line, without the repository's address."""


class GitOutputTooLarge(GitFailed):
    """Git wrote more output than the limit."""


async def check_git(environment: Mapping[str, str]) -> None:
    """Raise Unavailable if git does not start."""
    try:
        limits = Limits(seconds=_VERSION_SECONDS)
        await run(["git", "--version"], environment=for_git(environment), limits=limits)
    except ProgramNotStarted as error:
        raise Unavailable(_reason(error)) from None


class GitCommand:
    """Git for one source.

    ``listing_seconds`` is the time limit for listing refs, ``seconds`` for all other commands.
    """

    def __init__(
        self,
        *,
        definition: GitDefinition | FlakeDefinition,
        environment: Mapping[str, str],
        directory: Path,
        workers: Workers,
        listing_seconds: float,
        seconds: float,
    ) -> None:
        self._definition = definition
        self._access = GitAccess(
            definition=definition, environment=environment, directory=directory
        )
        self._workers = workers
        self._listing_seconds = listing_seconds
        self._seconds = seconds

    async def refs(self, location: str) -> dict[str, str]:
        """Return the commits of HEAD and of all branches and tags.

        A host sends all refs even for a query of one: git itself filters them.  The time limit is
        short, because clients can be served from the last result if the host does not respond.
        """
        command = ["ls-remote", "--quiet", "--", location, "HEAD", "refs/heads/*", "refs/tags/*"]
        finished = await self.run(
            command, seconds=self._listing_seconds, output=_REFS, memory=_LISTING_MEMORY
        )
        return await self._workers.run(_refs, self._output(finished))

    async def commit_date(self, repository: Path, commit: str) -> int | None:
        """Return seconds since 1970; None if the repository does not have the commit."""
        # "git show" would read all files of a commit without parents.
        arguments = ["log", "--no-walk", "--format=%ct", f"{commit}^{{commit}}"]
        finished = await self.run(["--git-dir", str(repository), *arguments])
        text = finished.stdout.decode(errors="replace").strip()
        if finished.code != 0 or not text.isdigit():
            return None
        await self._workers.run(kept.note_use, repository, commit)
        return int(text)

    async def fetch_commit(self, repository: Path, location: str, commit: str) -> None:
        """Fetch a commit and its files; an unknown commit is not an error.  Raises GitFailed."""
        async with self._writing(repository):
            arguments = [*_FETCH, "--depth=1", "--", location, f"{commit}:{kept.ref_of(commit)}"]
            finished = await self.run(["--git-dir", str(repository), *arguments])
            if finished.code == 0:
                await self._workers.run(kept.note_use, repository, commit)
                await self._join_packs(repository)
            elif _UNADVERTISED.search(finished.stderr):
                # An old server sends only commits of branches and tags: fetch all of them.
                await self._output_of("--git-dir", str(repository), *_FETCH, "--", location, *_ALL)
                await self._join_packs(repository)
            elif not _ABSENT.search(finished.stderr):
                raise self.failed(finished)

    async def fetch_history(self, repository: Path, location: str) -> None:
        """Fetch all commits, without files if the server supports that.  Raises GitFailed."""
        async with self._writing(repository):
            await self._output_of(
                *("--git-dir", str(repository), *_FETCH, "--filter=tree:0", "--", location, *_ALL)
            )
            await self._join_packs(repository)

    async def commits_with_prefix(self, repository: Path, short: str) -> list[str]:
        """Return the full names of commits with this prefix.  The repository may be missing."""
        if not await self._workers.run((repository / "HEAD").exists):
            return []
        base = ("--git-dir", str(repository))
        output = await self._output_of(*base, "rev-parse", f"--disambiguate={short}")
        objects = output.split()
        kinds = [await self._output_of(*base, "cat-file", "-t", name) for name in objects]
        return [name for name, kind in zip(objects, kinds, strict=True) if kind == "commit\n"]

    @asynccontextmanager
    async def _writing(self, repository: Path) -> AsyncIterator[None]:
        """Lock the repository, and create it if it is missing."""
        lock = repository.with_suffix(repository.suffix + ".lock")
        async with self._locked(lock):
            if not await self._workers.run((repository / "HEAD").exists):
                await self._output_of(
                    "init", "--quiet", "--bare", "--template=", "--", str(repository)
                )
            await self._workers.run(_clear, repository)
            try:
                yield
            except BaseException:
                # An incomplete download would occupy a full disk.
                with anyio.CancelScope(shield=True):
                    await self._workers.run(_clear, repository)
                raise

    @asynccontextmanager
    async def _locked(self, lock: Path) -> AsyncIterator[None]:
        """Hold the lock.  Raises GitFailed if another fetch holds it for as long as one may take."""
        async with AsyncExitStack() as held:
            holding = locked(lock, EXCLUSIVE, workers=self._workers, seconds=self._seconds)
            try:
                await held.enter_async_context(holding)
            except LockHeld:
                raise GitFailed(
                    f"another fetch of its files has not ended within {self._seconds:g} s"
                ) from None
            yield

    async def _join_packs(self, repository: Path) -> None:
        """Join many packs into one, without the least recently used commits.

        For a set like nixpkgs this takes some 10 seconds and 100 MB of memory.
        """
        if await self._workers.run(kept.pack_count, repository) <= _PACKS:
            return
        base = ("--git-dir", str(repository))
        # Repacking is optional; ignore failures.
        with suppress(GitFailed):
            for commit in await self._workers.run(_oldest, repository):
                await self._output_of(*base, "update-ref", "-d", kept.ref_of(commit))
            await self._output_of(*base, "repack", "-a", "-d", "--quiet")

    async def _output_of(self, *arguments: str) -> str:
        """Run git and return its standard output.  Raises GitFailed."""
        return self._output(await self.run(arguments))

    def _output(self, finished: Finished) -> str:
        if finished.code != 0:
            raise self.failed(finished)
        return finished.stdout.decode(errors="replace")

    async def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
        output: int = _LISTING,
        memory: int | None = None,
    ) -> Finished:
        """Run git; the caller checks the exit status.  Raises GitFailed, StorageUnavailable."""
        with translate_state_errors():
            await self._workers.run(self._access.prepare)
        try:
            return await run(
                ["git", *arguments],
                environment={**self._access.environment, **(environment or {})},
                limits=Limits(
                    seconds=seconds or self._seconds,
                    data=memory or _MEMORY,
                    file=_FILE,
                    output=output,
                ),
                killed_with_server=True,
            )
        except ProgramNotStarted as error:
            raise GitFailed(_reason(error)) from None
        except OutOfTime as error:
            raise GitFailed(
                f"no response from {host_of(self._definition)} within {error.limit}"
            ) from None
        except OutOfSpace as error:
            raise GitOutputTooLarge(f"its response has more than {error.limit}") from None

    def failed(self, finished: Finished) -> GitFailed:
        return GitFailed(explain(finished.stderr.decode(errors="replace"), self._definition))


def _reason(error: ProgramNotStarted) -> str:
    return _MISSING if isinstance(error, ProgramMissing) else str(error)


_ABSENT = re.compile(rb"not our ref|couldn't find remote ref")
_UNADVERTISED = re.compile(rb"unadvertised object")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force")
_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@blocking
def _clear(repository: Path) -> None:
    """Delete the remains of a failed git.  The caller must hold the lock."""
    packs = repository / "objects" / "pack"
    locks = [file for file in files_below(repository) if file.name.endswith(".lock")]
    for left in (*locks, *packs.glob("tmp_*"), *packs.glob(".tmp-*")):
        left.unlink(missing_ok=True)


@blocking
def _oldest(repository: Path) -> list[str]:
    return kept.take_oldest(repository, keep=_COMMITS)


@blocking
def _refs(output: str) -> dict[str, str]:
    rows = (line.partition("\t") for line in output.splitlines())
    return {name: commit for commit, _, name in rows if name}
