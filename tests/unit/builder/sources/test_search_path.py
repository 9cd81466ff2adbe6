"""Entries of a search path: their revisions, their files, and failures that name them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.builder.nix.door import PackageSet
from app.builder.sources.revision import Revision
from app.builder.sources.search_path import SearchPath
from app.errors import SourceUnavailable, TagUnknown
from app.failure import Failure
from app.reference import Tag

OWN = Revision("team", "commit:1", date=None, moves=True, warnings=("own",))


@dataclass
class Entry:
    """A source; ``error`` is raised instead of its revision."""

    name: str
    error: Exception | None = None
    cached: Revision | Failure | None = None
    invalidated: int = 0
    opened: list[Revision] = field(default_factory=list)

    @property
    def contents(self) -> dict[str, object]:
        return {"location": self.name}

    async def resolve_files(self, tag: Tag) -> Revision:
        if self.error is not None:
            raise self.error
        return Revision(self.name, f"commit:{tag}", date=None, moves=True, warnings=(self.name,))

    def cached_files(self, tag: Tag) -> Revision | Failure | None:
        assert tag == Tag("stable")
        return self.cached

    @asynccontextmanager
    async def checkout_files(self, revision: Revision) -> AsyncIterator[PackageSet]:
        self.opened.append(revision)
        yield PackageSet("path", f"/{self.name}", readable=(f"/{self.name}/files",))
        self.opened.remove(revision)

    def invalidate(self) -> None:
        self.invalidated += 1


def search_path(**entries: Entry) -> SearchPath:
    found: Mapping[str, tuple[Entry, Tag]] = {
        name: (entry, Tag("stable")) for name, entry in entries.items()
    }
    return SearchPath("team", found)


async def test_revisions_and_warnings_of_entries_are_added() -> None:
    path = search_path(nixpkgs=Entry("set"), utils=Entry("other"))

    revision = await path.resolve(OWN)

    assert [(name, one.identity) for name, one in revision.search_path] == [
        ("nixpkgs", (await Entry("set").resolve_files(Tag("stable"))).identity),
        ("utils", (await Entry("other").resolve_files(Tag("stable"))).identity),
    ]
    assert revision.warnings == ("own", "set", "other")
    assert path.subject(revision) == {
        name: {
            "contents": {"location": source},
            "revision": dict(revision.search_path)[name].identity,
        }
        for name, source in (("nixpkgs", "set"), ("utils", "other"))
    }


async def test_without_entries_the_revision_is_the_same() -> None:
    assert await search_path().resolve(OWN) is OWN
    assert search_path().cached(OWN) is OWN


@pytest.mark.parametrize("error", [SourceUnavailable("offline"), TagUnknown("no such tag")])
async def test_entry_without_a_revision_is_named(error: SourceUnavailable | TagUnknown) -> None:
    with pytest.raises(SourceUnavailable) as raised:
        await search_path(nixpkgs=Entry("set", error=error)).resolve(OWN)

    assert raised.value.message == f"{error.message} (it is <nixpkgs> of source team)"


async def test_cached_revisions_are_those_of_all_entries_or_none() -> None:
    revision = await Entry("set").resolve_files(Tag("stable"))

    both = search_path(a=Entry("set", cached=revision), b=Entry("set", cached=revision))
    one = search_path(a=Entry("set", cached=revision), b=Entry("set"))

    assert both.cached(OWN) == await both.resolve(OWN)
    assert one.cached(OWN) is None


async def test_files_of_entries_are_readable_while_the_set_is_open() -> None:
    entry = Entry("set")
    path = search_path(nixpkgs=entry)
    own = PackageSet("path", "/team", readable=("/team/files",))

    async with path.checkout(own, await path.resolve(OWN)) as opened:
        assert opened.readable == ("/team/files", "/set/files")
        assert opened.search_path == (("nixpkgs", "/set"),)
        assert len(entry.opened) == 1

    assert entry.opened == []


def test_entries_are_invalidated_together() -> None:
    entries = Entry("set"), Entry("other")

    search_path(a=entries[0], b=entries[1]).invalidate()

    assert [entry.invalidated for entry in entries] == [1, 1]
