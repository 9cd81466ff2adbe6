"""Open the sources of a configuration."""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import assert_never

from app.builder.jobs.readiness import Check
from app.builder.sources.definition import (
    ChannelDefinition,
    FlakeDefinition,
    GitDefinition,
    PathDefinition,
    SourceDefinition,
)
from app.builder.sources.git.command import GitCommand, check_git
from app.builder.sources.git.files import GitFiles
from app.builder.sources.git.git import GitUpstream
from app.builder.sources.path import PathUpstream
from app.builder.sources.search_path import SearchPath
from app.builder.sources.source import Source
from app.builder.sources.trees import Trees
from app.builder.sources.upstream import Upstream
from app.reference import Tag
from app.storage.base import Storage
from app.system.workers import Workers

_TREES_KEPT = 6
_LISTING_SECONDS = 30
_FETCH_SECONDS = 600


class Sources:
    """Opens sources, which share a directory for downloads.

    ``environment`` is the environment of git (app.system.environment.child_environment).
    """

    def __init__(
        self,
        *,
        directory: Path,
        environment: Mapping[str, str],
        storage: Storage,
        workers: Workers,
    ) -> None:
        self._directory = directory
        self._environment = environment
        self._storage = storage
        self._workers = workers
        self._trees = Trees(directory=directory / "trees", workers=workers, keep=_TREES_KEPT)
        self._closing = AsyncExitStack()
        self._opened: list[Source] = []

    def open_all(self, definitions: Iterable[SourceDefinition]) -> dict[str, Source]:
        """Return the sources by name, each with its search path."""
        sources = {definition.name: self.open(definition) for definition in definitions}
        for name, source in sources.items():
            entries = source.definition.searched.items()
            source.search_path = SearchPath(
                name, {entry: (sources[other], Tag(tag)) for entry, (other, tag) in entries}
            )
        return sources

    def open(self, definition: SourceDefinition) -> Source:
        source = Source(
            definition=definition, upstream=self._upstream(definition), storage=self._storage
        )
        self._opened.append(source)
        return source

    def checks(self) -> tuple[Check, ...]:
        """Return the checks of the programs that the opened sources need."""
        kinds = [source.definition for source in self._opened]
        if any(isinstance(kind, GitDefinition | FlakeDefinition) for kind in kinds):
            return (Check("git", partial(check_git, self._environment)),)
        return ()

    async def close(self) -> None:
        for source in self._opened:
            await source.close()
        await self._closing.aclose()

    def _upstream(self, definition: SourceDefinition) -> Upstream:
        match definition:
            case PathDefinition():
                return PathUpstream(definition=definition, workers=self._workers)
            case GitDefinition() | FlakeDefinition():
                directory = self._directory / "git"
                git = GitCommand(
                    definition=definition,
                    environment=self._environment,
                    directory=directory,
                    workers=self._workers,
                    listing_seconds=_LISTING_SECONDS,
                    seconds=_FETCH_SECONDS,
                )
                return GitUpstream(
                    definition=definition,
                    git=git,
                    files=GitFiles(git=git, workers=self._workers),
                    directory=directory,
                    trees=self._trees,
                    workers=self._workers,
                )
            case ChannelDefinition():
                return self._channel(definition)
            case _:
                assert_never(definition)

    def _channel(self, definition: ChannelDefinition) -> Upstream:
        # Importing httpx takes 4 MB of memory, and most servers have no channel.
        from app.builder.sources.channel import ChannelUpstream, new_client  # noqa: PLC0415

        http = new_client()
        self._closing.push_async_callback(http.aclose)
        return ChannelUpstream(
            definition=definition,
            http=http,
            trees=self._trees,
            directory=self._directory,
            workers=self._workers,
            seconds=_FETCH_SECONDS,
        )
