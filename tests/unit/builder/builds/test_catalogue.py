import pytest

from app.builder.builds.catalogue import Catalogue
from app.errors import StorageUnavailable
from app.reference import ImageReference, RepositoryName
from app.storage.memory import MemoryStorage


async def test_what_was_built_is_known_after_a_restart() -> None:
    storage = MemoryStorage()
    before = Catalogue(storage=storage)
    for name, tag in [("git", "latest"), ("git", "v1"), ("shell/jq", "latest")]:
        before.add(ImageReference.parse(name, tag))
    assert await before.names() == ("git", "shell/jq")
    await before.close()

    after = Catalogue(storage=storage)

    assert await after.names() == ("git", "shell/jq")
    assert await after.tags(RepositoryName.parse("git")) == {"latest", "v1"}
    assert await after.tags(RepositoryName.parse("htop")) == frozenset()


async def test_asking_for_a_name_does_not_list_it() -> None:
    catalogue = Catalogue(storage=MemoryStorage())

    await catalogue.tags(RepositoryName.parse("git"))

    assert await catalogue.names() == ()


async def test_a_name_that_is_known_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    before = Catalogue(storage=storage)
    before.add(ImageReference.parse("git", "v1"))
    await before.close()
    monkeypatch.setattr(storage, "write", full)

    after = Catalogue(storage=storage)
    after.add(ImageReference.parse("git", "v1"))
    await after.close()

    assert await after.names() == ("git",)


async def test_an_image_is_had_though_its_name_cannot_be_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryStorage()
    catalogue = Catalogue(storage=storage)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", full)
        catalogue.add(ImageReference.parse("git", "v1"))
        await catalogue.close()
    assert await catalogue.names() == ()

    catalogue.add(ImageReference.parse("git", "v1"))
    await catalogue.close()

    assert await catalogue.names() == ("git",)


async def full(key: str, body: bytes) -> None:
    raise StorageUnavailable("full")
