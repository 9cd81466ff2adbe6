import asyncio
from itertools import permutations

import pytest

from app.builder.builds.catalogue import TAGS, Catalogue
from app.errors import StorageUnavailable
from app.oci import Digest
from app.reference import ImageReference, RepositoryName
from app.storage.base import Storage
from app.storage.memory import MemoryStorage
from app.storage.records.records import Records


def catalogue_of(storage: Storage) -> Catalogue:
    return Catalogue(storage=storage, sources={"team"})


async def test_what_was_built_is_known_after_a_restart() -> None:
    storage = MemoryStorage()
    before = catalogue_of(storage)
    for name, tag in [("git", "latest"), ("git", "v1"), ("shell/jq", "latest")]:
        before.add(ImageReference.parse(name, tag))
    assert await before.names() == ("git", "shell/jq")
    await before.close()

    after = catalogue_of(storage)

    assert await after.names() == ("git", "shell/jq")
    assert await after.tags(RepositoryName.parse("git")) == ("latest", "v1")
    assert await after.tags(RepositoryName.parse("htop")) == ()


async def test_a_request_for_a_name_does_not_list_it() -> None:
    catalogue = catalogue_of(MemoryStorage())

    await catalogue.tags(RepositoryName.parse("git"))

    assert await catalogue.names() == ()


async def test_a_name_that_is_known_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    before = catalogue_of(storage)
    before.add(ImageReference.parse("git", "v1"))
    await before.close()
    monkeypatch.setattr(storage, "write", full)

    after = catalogue_of(storage)
    after.add(ImageReference.parse("git", "v1"))
    await after.close()

    assert await after.names() == ("git",)


async def test_an_image_is_had_though_its_name_cannot_be_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryStorage()
    catalogue = catalogue_of(storage)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", full)
        catalogue.add(ImageReference.parse("git", "v1"))
        await catalogue.close()
    assert await catalogue.names() == ()

    catalogue.add(ImageReference.parse("git", "v1"))
    await catalogue.close()

    assert await catalogue.names() == ("git",)


async def test_names_are_sorted_whenever_they_came_and_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryStorage()
    before = catalogue_of(storage)
    for name in ("jq", "htop", "zsh"):
        before.add(ImageReference.parse(name, "latest"))
    await before.close()
    catalogue = catalogue_of(storage)
    catalogue.add(ImageReference.parse("m4", "latest"))
    catalogue.add(ImageReference.parse("zsh", "v1"))
    assert await catalogue.names() == ("htop", "jq", "m4", "zsh")

    catalogue.add(ImageReference.parse("git", "latest"))
    await catalogue.close()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", full)
        for name in ("lost", "zsh"):
            catalogue.add(ImageReference.parse(name, "v2"))
        await catalogue.close()

    assert await catalogue.names() == ("git", "htop", "jq", "m4", "zsh")
    assert await catalogue.tags(RepositoryName.parse("zsh")) == ("latest", "v1")


async def test_the_same_packages_are_noted_once_however_they_are_written() -> None:
    storage = MemoryStorage()
    catalogue = catalogue_of(storage)
    for words in permutations(("shell", "git", "jq", "git")):
        catalogue.add(ImageReference.parse("/".join(words), "latest"))
        catalogue.add(ImageReference.parse("/".join(("team", *words)), "v1"))
    await catalogue.close()

    assert await catalogue.names() == ("shell/git/jq", "team/shell/git/jq")
    assert len(await storage.keys("tags/")) == 2
    assert await catalogue.tags(RepositoryName.parse("jq/git/shell")) == ("latest",)
    assert await catalogue.tags(RepositoryName.parse("team/jq/git/shell/jq")) == ("v1",)
    assert await catalogue_of(storage).tags(RepositoryName.parse("git/jq/shell")) == ("latest",)


async def test_tags_of_a_name_are_listed_in_parts() -> None:
    catalogue = catalogue_of(MemoryStorage())
    name = RepositoryName.parse("git")
    for tag in ("v2", "v1", "v3", "v2"):
        catalogue.add(ImageReference.parse("git", tag))
    await catalogue.close()

    assert await catalogue.tags(name) == ("v1", "v2", "v3")
    assert await catalogue.tags(name, after="v1", most=1) == ("v2",)
    assert await catalogue.tags(name, after="v3") == ()


async def test_loading_many_names_lets_the_event_loop_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryStorage()
    records = Records(storage=storage, kind=TAGS)
    for number in range(500):
        named = (f"a{number}", "latest")
        await records.write(TAGS.key(name=named[0], tag=named[1]), named)
    made: list[str] = []

    def digest(algorithm: str, text: str) -> Digest:
        made.append(text)
        return Digest(algorithm, text)

    monkeypatch.setattr("app.builder.builds.catalogue.Digest", digest)
    loading = asyncio.create_task(catalogue_of(storage).names())
    longest = 0
    while not loading.done():
        before = len(made)
        await asyncio.sleep(0)
        longest = max(longest, len(made) - before)

    assert len(await loading) == len(made) == 500
    assert longest <= 32


async def test_the_lists_are_bounded_in_memory_and_in_storage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.builder.builds.catalogue.LIMIT", 5)
    storage = MemoryStorage()
    for server in range(3):
        catalogue = catalogue_of(storage)
        for number in range(4):
            catalogue.add(ImageReference.parse(f"a{server}{number}", "latest"))
        await catalogue.close()
        assert len(await catalogue.names()) <= 5

    assert len(await storage.keys("tags/")) == 5
    listed = catalogue_of(storage)
    assert len(await listed.names()) == 5
    listed.add(ImageReference.parse("new", "latest"))
    assert "new" not in await listed.names()
    listed.add(ImageReference.parse("a00", "latest"))
    assert "a00" in await listed.names()


async def test_names_beyond_the_bound_in_storage_are_not_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryStorage()
    before = catalogue_of(storage)
    for number in range(9):
        before.add(ImageReference.parse(f"a{number}", "latest"))
    await before.close()
    monkeypatch.setattr("app.builder.builds.catalogue.LIMIT", 5)

    assert len(await catalogue_of(storage).names()) == 5


async def full(key: str, body: bytes) -> None:
    raise StorageUnavailable("full")
