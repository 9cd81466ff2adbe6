"""The other sources that a source's files refer to, such as ``<nixpkgs>``."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from app.builder.nix.door import PackageSet
from app.builder.sources.revision import Revision
from app.errors import SourceUnavailable, TagUnknown
from app.reference import Tag


class Searched(Protocol):
    """A source, as far as another one's search path needs it; its own search path is not used."""

    async def resolve_files(self, tag: Tag) -> Revision: ...

    def known_files(self, tag: Tag) -> Revision | TagUnknown | None: ...

    def checkout_files(self, revision: Revision) -> AbstractAsyncContextManager[PackageSet]: ...

    def forget(self) -> None: ...

    @property
    def contents(self) -> dict[str, object]: ...


@dataclass(frozen=True, slots=True)
class SearchPath:
    """``owner`` is the name of the source that it belongs to."""

    owner: str
    entries: Mapping[str, tuple[Searched, Tag]]

    async def resolve(self, own: Revision) -> Revision:
        """Pin the entries too.  Raises SourceUnavailable, TooManyRequests."""
        found: list[tuple[str, Revision]] = []
        for name, (source, tag) in self.entries.items():
            try:
                found.append((name, await source.resolve_files(tag)))
            except (SourceUnavailable, TagUnknown) as error:
                raise SourceUnavailable(
                    f"{error.message} (it is <{name}> of source {self.owner})"
                ) from None
        return _joined(own, found)

    def known(self, own: Revision) -> Revision | None:
        """Return what ``resolve`` would return without asking; None if it would ask."""
        found: list[tuple[str, Revision]] = []
        for name, (source, tag) in self.entries.items():
            revision = source.known_files(tag)
            if not isinstance(revision, Revision):
                return None
            found.append((name, revision))
        return _joined(own, found)

    @asynccontextmanager
    async def checkout(self, own: PackageSet, revision: Revision) -> AsyncIterator[PackageSet]:
        """Raises SourceUnavailable, SourceMoved."""
        async with AsyncExitStack() as held:
            readable, entries = [*own.readable], []
            for name, entry in revision.search_path:
                source, _ = self.entries[name]
                files = await held.enter_async_context(source.checkout_files(entry))
                readable += files.readable
                entries.append((name, files.reference))
            yield replace(own, readable=tuple(readable), search_path=tuple(entries))

    def forget(self) -> None:
        for source, _ in self.entries.values():
            source.forget()

    def subject(self, revision: Revision) -> dict[str, object]:
        """What an evaluation depends on besides the source itself, to make keys of."""
        return {
            name: {"contents": self.entries[name][0].contents, "revision": entry.identity}
            for name, entry in revision.search_path
        }


def _joined(own: Revision, found: list[tuple[str, Revision]]) -> Revision:
    if not found:
        return own
    warnings = (text for _, revision in found for text in revision.warnings)
    return replace(own, search_path=tuple(found), warnings=(*own.warnings, *warnings))
