from app.builder.builds.catalogue import Catalogue
from app.reference import ImageReference, RepositoryName
from app.storage.memory import MemoryStorage


async def test_what_was_built_is_known_after_a_restart() -> None:
    storage = MemoryStorage()
    before = Catalogue(storage=storage)
    for name, tag in [("git", "latest"), ("git", "v1"), ("shell/jq", "latest")]:
        await before.add(ImageReference.parse(name, tag))

    after = Catalogue(storage=storage)

    assert await after.names() == ("git", "shell/jq")
    assert await after.tags(RepositoryName.parse("git")) == {"latest", "v1"}
    assert await after.tags(RepositoryName.parse("htop")) == frozenset()


async def test_asking_for_a_name_does_not_list_it() -> None:
    catalogue = Catalogue(storage=MemoryStorage())

    await catalogue.tags(RepositoryName.parse("git"))

    assert await catalogue.names() == ()
