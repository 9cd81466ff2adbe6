"""Other sources that the files of a source refer to, such as ``<nixpkgs>``."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from app.builder.nix.door import PackageSet
from app.builder.sources.revision import Revision
from app.errors import SourceUnavailable, TagUnknown
from app.failure import Failure
from app.reference import Tag


class Searched(Protocol):
    """A source in the search path of another one; its own search path is not used."""

    async def resolve_files(self, tag: Tag) -> Revision: ...

    def cached_files(self, tag: Tag) -> Revision | Failure | None: ...

    def checkout_files(self, revision: Revision) -> AbstractAsyncContextManager[PackageSet]: ...

    def invalidate(self) -> None: ...

    @property
    def contents(self) -> dict[str, object]: ...


@dataclass(frozen=True, slots=True)
class SearchPath:
    """The sources that the files of one source refer to.

    ``owner`` is the name of the source that has this search path.
    """

    owner: str
    entries: Mapping[str, tuple[Searched, Tag]]

    async def resolve(self, own: Revision) -> Revision:
        """Add the revisions of all entries.  Raises SourceUnavailable, TooManyRequests."""
        found: list[tuple[str, Revision]] = []
        for name, (source, tag) in self.entries.items():
            try:
                found.append((name, await source.resolve_files(tag)))
            except (SourceUnavailable, TagUnknown) as error:
                raise SourceUnavailable(
                    f"{error.message} (it is <{name}> of source {self.owner})"
                ) from None
        return _joined(own, found)

    def cached(self, own: Revision) -> Revision | None:
        """Return the result of ``resolve``, or None if that would query an upstream."""
        found: list[tuple[str, Revision]] = []
        for name, (source, tag) in self.entries.items():
            revision = source.cached_files(tag)
            if not isinstance(revision, Revision):
                return None
            found.append((name, revision))
        return _joined(own, found)

    @asynccontextmanager
    async def checkout(self, own: PackageSet, revision: Revision) -> AsyncIterator[PackageSet]:
        """Provide the own files with those of all entries.  Raises SourceUnavailable, SourceMoved."""
        async with AsyncExitStack() as held:
            readable, entries = [*own.readable], []
            for name, entry in revision.search_path:
                source, _ = self.entries[name]
                files = await held.enter_async_context(source.checkout_files(entry))
                readable += files.readable
                entries.append((name, files.reference))
            yield replace(own, readable=tuple(readable), search_path=tuple(entries))

    def invalidate(self) -> None:
        for source, _ in self.entries.values():
            source.invalidate()

    def subject(self, revision: Revision) -> dict[str, object]:
        """Return the search path's part of the keys of evaluations."""
        return {
            name: {"contents": self.entries[name][0].contents, "revision": entry.identity}
            for name, entry in revision.search_path
        }


def _joined(own: Revision, found: list[tuple[str, Revision]]) -> Revision:
    if not found:
        return own
    warnings = (text for _, revision in found for text in revision.warnings)
    return replace(own, search_path=tuple(found), warnings=(*own.warnings, *warnings))
