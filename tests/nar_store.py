"""A store whose paths are read as Nix archives: the door to a stream without a cache behind it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass

from app.builder.nix.closure import Closure, StorePath
from app.builder.nix.nar import Source, visit_archive
from app.builder.nix.store import UnreadablePath, Visitor
from app.system.blocking import blocking


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive; ``size`` is the most bytes that it has."""

    source: Source
    size: int


# Opens the archive of a path; the context closes it.  May raise OSError and UnreadablePath.
OpenArchive = Callable[[StorePath], AbstractContextManager[Archive]]


class NarStore:
    """A store of archives; ``query`` returns the closure of paths."""

    def __init__(
        self,
        open_archive: OpenArchive,
        *,
        query: Callable[[Sequence[StorePath]], Awaitable[Closure]],
    ) -> None:
        self._open = open_archive
        self._query = query

    async def closure(self, paths: Sequence[StorePath]) -> Closure:
        return await self._query(paths)

    def fetching(self, _: StorePath) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def announcing(self, _: Callable[[StorePath], None]) -> AbstractContextManager[None]:
        return nullcontext()

    @blocking
    def visit(self, path: StorePath, visitor: Visitor) -> None:
        """Visit the entries of an archive.  Raises UnreadablePath, UnsupportedTree, Stopped."""
        try:
            with self._open(path) as archive:
                visit_archive(archive.source, path.base.encode(), visitor, limit=archive.size)
        except OSError as error:
            raise UnreadablePath(error.strerror or str(error)) from error

    @blocking
    def visit_names(self, path: StorePath, visitor: Visitor) -> None:
        self.visit(path, visitor)
