"""Git's own program, asked for refs and commits."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.builder.sources.git import kept
from app.builder.sources.git.access import GitAccess
from app.builder.sources.git.errors import cause
from app.errors import Unavailable
from app.system.blocking import blocking
from app.system.environment import for_git
from app.system.locks import EXCLUSIVE, locked
from app.system.process import Finished, Limits, OutOfSpace, OutOfTime, ProgramMissing, run
from app.system.workers import Workers

_LISTING = 128 * 1024 * 1024
_VERSION_SECONDS = 30
_COMMITS = 24  # that are kept without their history
# Each fetch adds a pack, and git searches all of them; git's own limit is the same (gc.autoPackLimit).
_PACKS = 50
_MISSING = "git is not installed (apt-get install git)"


class GitFailed(Exception):
    """The message is one line, without the repository's address."""


class GitSaysTooMuch(GitFailed):
    """More than anything should be answered with."""


async def check_git(environment: Mapping[str, str]) -> None:
    """Raises Unavailable where there is no git."""
    try:
        limits = Limits(seconds=_VERSION_SECONDS)
        await run(["git", "--version"], environment=for_git(environment), limits=limits)
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
        return _refs(self._output(await self.run(command, seconds=self._asking_seconds)))

    async def commit_date(self, repository: Path, commit: str) -> int | None:
        """Seconds since 1970 if the repository has the commit with its files."""
        # Not show, which goes through all files of a commit without parents to say nothing of them.
        arguments = ["log", "--no-walk", "--format=%ct", f"{commit}^{{commit}}"]
        finished = await self.run(["--git-dir", str(repository), *arguments])
        text = finished.stdout.decode(errors="replace").strip()
        if finished.code != 0 or not text.isdigit():
            return None
        await self._workers.run(kept.note_use, repository, commit)
        return int(text)

    async def fetch_commit(self, repository: Path, location: str, commit: str) -> None:
        """A commit and its files; no error if there is no such commit."""
        async with self._writing(repository):
            arguments = [*_FETCH, "--depth=1", "--", location, f"{commit}:{kept.ref_of(commit)}"]
            finished = await self.run(["--git-dir", str(repository), *arguments])
            if finished.code == 0:
                await self._workers.run(kept.note_use, repository, commit)
                await self._join_packs(repository)
            elif _UNADVERTISED.search(finished.stderr):
                # An old server hands out only what a branch or tag names: take all of that.
                await self._speak("--git-dir", str(repository), *_FETCH, "--", location, *_ALL)
                await self._join_packs(repository)
            elif not _ABSENT.search(finished.stderr):
                raise self.failed(finished)

    async def fetch_history(self, repository: Path, location: str) -> None:
        """All commits, without files where the server can leave them out."""
        async with self._writing(repository):
            await self._speak(
                *("--git-dir", str(repository), *_FETCH, "--filter=tree:0", "--", location, *_ALL)
            )
            await self._join_packs(repository)

    async def commits_beginning(self, repository: Path, short: str) -> list[str]:
        """Full names of the commits whose names begin so, in a repository that may be absent."""
        if not await self._workers.run((repository / "HEAD").exists):
            return []
        base = ("--git-dir", str(repository))
        output = await self._speak(*base, "rev-parse", f"--disambiguate={short}")
        objects = output.split()
        kinds = [await self._speak(*base, "cat-file", "-t", name) for name in objects]
        return [name for name, kind in zip(objects, kinds, strict=True) if kind == "commit\n"]

    @asynccontextmanager
    async def _writing(self, repository: Path) -> AsyncIterator[None]:
        """Alone in the repository, which is made if absent."""
        lock = repository.with_suffix(repository.suffix + ".lock")
        async with locked(lock, EXCLUSIVE, workers=self._workers):
            if not await self._workers.run((repository / "HEAD").exists):
                await self._speak("init", "--quiet", "--bare", "--template=", "--", str(repository))
            await self._workers.run(_clear, repository)
            try:
                yield
            except BaseException:
                # Half a download would keep a full disk full.
                with anyio.CancelScope(shield=True):
                    await self._workers.run(_clear, repository)
                raise

    async def _join_packs(self, repository: Path) -> None:
        """Join many packs into one, without the commits that were not used lately.

        Of a set like nixpkgs this takes some 10 seconds and 100 MB of memory.
        """
        if await self._workers.run(kept.pack_count, repository) <= _PACKS:
            return
        base = ("--git-dir", str(repository))
        # Repacking is optional; ignore failures.
        with suppress(GitFailed):
            for commit in await self._workers.run(_oldest, repository):
                await self._speak(*base, "update-ref", "-d", kept.ref_of(commit))
            await self._speak(*base, "repack", "-a", "-d", "--quiet")

    async def _speak(self, *arguments: str) -> str:
        """Standard output; raises GitFailed."""
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
    ) -> Finished:
        """An exit code is the caller's to judge; raises GitFailed for everything else."""
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

    def failed(self, finished: Finished) -> GitFailed:
        return GitFailed(cause(finished.stderr.decode(errors="replace"), self._definition))


_ABSENT = re.compile(rb"not our ref|couldn't find remote ref")
_UNADVERTISED = re.compile(rb"unadvertised object")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force")
_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@blocking
def _clear(repository: Path) -> None:
    """What a git left that failed or was killed; our lock says that no other is here."""
    packs = repository / "objects" / "pack"
    for left in (*repository.rglob("*.lock"), *packs.glob("tmp_*"), *packs.glob(".tmp-*")):
        left.unlink(missing_ok=True)


@blocking
def _oldest(repository: Path) -> list[str]:
    return kept.take_oldest(repository, keep=_COMMITS)


def _refs(output: str) -> dict[str, str]:
    rows = (line.partition("\t") for line in output.splitlines())
    return {name: commit for commit, _, name in rows if name}
