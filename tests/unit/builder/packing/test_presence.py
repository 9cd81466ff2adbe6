import pytest

from app.builder.packing import presence
from app.builder.packing.presence import Presence
from app.oci import Digest
from app.storage import keys
from app.storage.memory import MemoryStorage

BLOBS = (b"one", b"two", b"three")
DIGESTS = tuple(map(Digest.of, BLOBS))


@pytest.fixture
async def storage() -> MemoryStorage:
    storage = MemoryStorage()
    for digest, blob in zip(DIGESTS, BLOBS, strict=True):
        await storage.write(keys.blob(digest), blob)
    return storage


async def test_what_was_seen_is_trusted_until_somebody_misses_it(storage: MemoryStorage) -> None:
    known = Presence(storage)
    assert await known.holds(DIGESTS[0])
    await storage.delete(keys.blob(DIGESTS[0]))

    assert await known.holds(DIGESTS[0])
    known.forget(DIGESTS[0])
    assert not await known.holds(DIGESTS[0])


async def test_trust_ends_by_itself(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Presence(storage)
    await known.holds(DIGESTS[0])
    await storage.delete(keys.blob(DIGESTS[0]))

    monkeypatch.setattr(presence, "_TRUSTED_SECONDS", 0.0)

    assert not await known.holds(DIGESTS[0])


async def test_one_that_is_missing_among_many_is_noticed(storage: MemoryStorage) -> None:
    known = Presence(storage)
    assert await known.holds_all(DIGESTS)
    assert not await known.holds_all((*DIGESTS, Digest.of(b"another")))


async def test_no_more_is_kept_in_mind_than_the_limit(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_LIMIT", 2)
    known = Presence(storage)
    assert await known.holds_all(DIGESTS)
    for digest in DIGESTS:
        await storage.delete(keys.blob(digest))

    assert [await known.holds(digest) for digest in DIGESTS] == [False, True, True]
