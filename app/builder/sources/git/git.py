"""A git repository as a source: tags, branches, and full or abbreviated commits.

The server keeps two bare repositories for it.  One has the commits that were used, without history.
The other has the whole history without files, to resolve abbreviations.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from app.builder.nix.door import Flake, PackageSet
from app.builder.sources.commits import ABBREVIATED_COMMIT, COMMIT, FULL_COMMIT
from app.builder.sources.definition import FlakeDefinition, GitDefinition
from app.builder.sources.git.command import GitCommand, GitFailed
from app.builder.sources.git.files import GitFiles
from app.builder.sources.git.refs import RefCache
from app.builder.sources.revision import Revision
from app.builder.sources.trees import Trees, place_of
from app.builder.sources.unpacking import date_of, translate_disk_errors, translate_unpacking_errors
from app.builder.sources.upstream import MOST_DETAILS
from app.errors import SourceUnavailable, TagUnknown
from app.reference import LATEST
from app.system.blocking import blocking
from app.system.workers import Workers

_ACCESS = ("location", "username", "token_file", "ssh_key", "known_hosts")
_LISTED = 12  # names in a message
_LISTING_SECONDS = 2
_HISTORY_SECONDS = 30  # clients can query any number of abbreviations


class GitUpstream:
    """The upstream of a git or flake source."""

    def __init__(
        self,
        *,
        definition: GitDefinition | FlakeDefinition,
        git: GitCommand,
        files: GitFiles,
        directory: Path,
        trees: Trees,
        workers: Workers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._definition = definition
        self._git = git
        self._files = files
        # A source with other credentials must not find these commits.
        self._place = place_of(definition, *_ACCESS)
        self._commits = directory / f"{self._place}.commits"
        self._history = directory / f"{self._place}.history"
        self._trees = trees
        self._workers = workers
        self._clock = clock
        self._ref_cache = RefCache(
            query=self._query_refs,
            seconds=min(_LISTING_SECONDS, definition.revision_seconds),
            clock=clock,
        )
        self._history_until = float("-inf")
        # The names of branches, then of tags; None before the first query.
        self._names: tuple[str, ...] | None = None
        self._sorted: tuple[str, ...] = ()

    async def find(self, tag: str) -> Revision:
        with translate_unpacking_errors(self._definition.name), translate_disk_errors():
            try:
                commit, moves = await self._find(tag)
                date = await self._fetch(commit)
            except GitFailed as error:
                raise self._unreachable(error) from None
        return Revision(
            source=self._definition.name, identity=f"commit:{commit}", date=date, moves=moves
        )

    async def tags(self) -> tuple[str, ...]:
        try:
            await self._refs()
        except GitFailed as error:
            raise self._unreachable(error) from None
        return (LATEST, *(self._names or ()))

    def cached_tags(self) -> tuple[str, ...]:
        """Return the tags of the last query; before the first, those of the definition."""
        named = _named(self._definition)
        if self._names is None:
            return tuple(sorted(name for name in named if name != "HEAD"))
        return self._sorted

    @asynccontextmanager
    async def checkout(self, revision: Revision) -> AsyncIterator[PackageSet]:
        commit = revision.label
        with translate_unpacking_errors(self._definition.name):
            with translate_disk_errors():
                date = await self._fetched(commit)
            async with self._trees.tree(
                self._place,
                commit,
                lambda path: self._files.unpack(self._commits, commit, path, date),
            ) as tree:
                submodules = await self._files.submodules(tree)
                directory = self._definition.directory
                if isinstance(self._definition, FlakeDefinition):
                    yield PackageSet(
                        "flake",
                        str(tree),
                        submodules=submodules,
                        flake=Flake(directory, commit, int(date.timestamp())),
                    )
                else:
                    # Without a trailing slash, which Nix would keep.
                    place = str(tree / directory)
                    whole = (str(tree),) if directory else ()
                    yield PackageSet(
                        "path",
                        place,
                        readable=whole,
                        submodules=submodules,
                        is_file=await self._files.is_file(tree / directory),
                    )

    async def _find(self, tag: str) -> tuple[str, bool]:
        """Return the commit of a tag, and whether the tag can move."""
        wanted = self._definition.default_ref if tag == LATEST else tag
        try:
            refs = await self._refs()
        except GitFailed:
            # A commit that was fetched before needs no query.
            if not FULL_COMMIT.fullmatch(wanted):
                raise
            refs = {}
        for name in (f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", f"refs/heads/{wanted}"):
            if name in refs:
                return refs[name], True
        if wanted == "HEAD" and wanted in refs:
            return refs[wanted], True
        if FULL_COMMIT.fullmatch(wanted):
            return wanted, False
        if ABBREVIATED_COMMIT.fullmatch(wanted):
            return await self._expand(wanted), False
        raise await self._unknown(tag)

    async def _refs(self) -> Mapping[str, str]:
        return await self._ref_cache.refs()

    async def _query_refs(self) -> Mapping[str, str]:
        refs = await self._git.refs(self._definition.location)
        self._names, self._sorted = await self._workers.run(_taggable, self._definition, refs)
        return refs

    async def _expand(self, short: str) -> str:
        if self._clock() >= self._history_until:
            await self._git.fetch_history(self._history, self._definition.location)
            self._history_until = self._clock() + _HISTORY_SECONDS
        # Commits that are on no branch are known if they were used by their full names.
        found = [
            await self._git.commits_with_prefix(r, short) for r in (self._history, self._commits)
        ]
        commits = sorted({commit for commits in found for commit in commits})
        if len(commits) == 1:
            return commits[0]
        if commits:
            raise TagUnknown(f"{short} is ambiguous: {' or '.join(c[:12] for c in commits[:8])}")
        raise await self._unknown(short)

    async def _fetch(self, commit: str) -> datetime:
        """Fetch a commit if it is missing, and return its date.

        Raises TagUnknown, GitFailed, FilesInvalid.
        """
        seconds = await self._git.commit_date(self._commits, commit)
        if seconds is None:
            await self._git.fetch_commit(self._commits, self._definition.location, commit)
            seconds = await self._git.commit_date(self._commits, commit)
        if seconds is None:
            raise await self._unknown(commit)
        return date_of(seconds)

    async def _fetched(self, commit: str) -> datetime:
        try:
            return await self._fetch(commit)
        except GitFailed as error:
            raise SourceUnavailable(
                f"source {self._definition.name} has no commit {commit}: {error}"
            ) from None

    def _unreachable(self, error: GitFailed) -> SourceUnavailable:
        return SourceUnavailable(f"source {self._definition.name} cannot be reached: {error}")

    async def _unknown(self, tag: str) -> TagUnknown:
        if self._names is None:
            await self._refs()
        names = self._names or ()
        listed = ", ".join(names[:_LISTED]) or "neither branches nor tags"
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return TagUnknown(
            f"source {self._definition.name} has no branch, tag or commit {tag}; it has"
            f" {LATEST}, {listed}{more}",
            {"tags": [LATEST, *names[:MOST_DETAILS]]},
        )


@blocking
def _taggable(
    definition: GitDefinition | FlakeDefinition, refs: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of branches, then of tags; and the same with the definition's commits, sorted.

    The name of a branch may be invalid as the tag of an image: feature/x.
    """
    names = definition.taggable(
        name.removeprefix(kind)
        for kind in ("refs/heads/", "refs/tags/")
        for name in refs
        if name.startswith(kind)
    )
    commits = filter(COMMIT.fullmatch, _named(definition))
    return names, tuple(sorted({*names, *commits}))


def _named(definition: GitDefinition | FlakeDefinition) -> tuple[str, ...]:
    return definition.taggable((definition.default_ref, *definition.pins))
