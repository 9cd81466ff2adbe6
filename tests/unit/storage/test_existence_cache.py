import pytest

from app.oci import Descriptor, Digest, MediaType
from app.storage import existence_cache as presence
from app.storage import keys
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage

BLOBS = (b"one", b"two", b"three")


def described(blob: bytes) -> Descriptor:
    return Descriptor(MediaType.OCI_LAYER_GZIP, Digest.of(blob), len(blob))


DESCRIPTORS = tuple(map(described, BLOBS))


@pytest.fixture
async def storage() -> MemoryStorage:
    storage = MemoryStorage()
    for blob in BLOBS:
        await storage.write(keys.blob(Digest.of(blob)), blob)
    return storage


async def test_what_was_seen_is_trusted_until_somebody_misses_it(storage: MemoryStorage) -> None:
    known = BlobExistenceCache(storage)
    assert await known.holds(DESCRIPTORS[0])
    await storage.delete(keys.blob(DESCRIPTORS[0].digest))

    assert await known.holds(DESCRIPTORS[0])
    known.forget(DESCRIPTORS[0].digest)
    assert not await known.holds(DESCRIPTORS[0])


async def test_the_size_of_what_is_missed_or_damaged_stays_known(storage: MemoryStorage) -> None:
    known = BlobExistenceCache(storage)
    first, second, third = DESCRIPTORS
    assert known.size(first.digest) is None
    assert await known.holds_all(DESCRIPTORS[:2])
    known.forget(first.digest)
    known.forget(second.digest)
    known.forget(third.digest)
    await storage.delete(keys.blob(first.digest))
    await storage.write(keys.blob(third.digest), b"thr")

    assert not await known.holds_all(DESCRIPTORS)

    assert [known.size(blob.digest) for blob in DESCRIPTORS] == [3, 3, 5]


async def test_trust_ends_by_itself(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = BlobExistenceCache(storage)
    await known.holds(DESCRIPTORS[0])
    await storage.delete(keys.blob(DESCRIPTORS[0].digest))

    monkeypatch.setattr(presence, "_TRUSTED_SECONDS", 0.0)

    assert not await known.holds(DESCRIPTORS[0])


async def test_one_that_is_missing_among_many_is_noticed(storage: MemoryStorage) -> None:
    known = BlobExistenceCache(storage)
    assert await known.holds_all(DESCRIPTORS)
    assert not await known.holds_all((*DESCRIPTORS, described(b"another")))


@pytest.mark.parametrize("damaged", [b"", b"on", b"one and more"])
async def test_a_blob_of_another_size_is_not_held(storage: MemoryStorage, damaged: bytes) -> None:
    await storage.write(keys.blob(DESCRIPTORS[0].digest), damaged)

    assert not await BlobExistenceCache(storage).holds(DESCRIPTORS[0])
    assert not await BlobExistenceCache(storage).holds_all(DESCRIPTORS)


async def test_no_more_is_kept_in_mind_than_the_limit(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_LIMIT", 2)
    known = BlobExistenceCache(storage)
    assert await known.holds_all(DESCRIPTORS)
    for blob in DESCRIPTORS:
        await storage.delete(keys.blob(blob.digest))

    assert [await known.holds(blob) for blob in DESCRIPTORS] == [False, True, True]
