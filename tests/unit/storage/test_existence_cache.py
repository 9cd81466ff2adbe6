from collections.abc import Sequence

import pytest
from loguru import logger

from app.oci import Descriptor, Digest, MediaType
from app.storage import existence_cache, keys
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage

BLOBS = (b"one", b"two", b"three")


def described(blob: bytes) -> Descriptor:
    return Descriptor(MediaType.OCI_LAYER_GZIP, Digest.of(blob), len(blob))


DESCRIPTORS = tuple(map(described, BLOBS))
FIRST, SECOND, THIRD = DESCRIPTORS


class CountingStorage(MemoryStorage):
    """Counts the objects that were looked at."""

    looks = 0

    async def sizes(self, keys: Sequence[str]) -> list[int | None]:
        self.looks += len(keys)
        return await super().sizes(keys)


@pytest.fixture
async def storage() -> CountingStorage:
    storage = CountingStorage()
    for blob in BLOBS:
        await storage.write(keys.blob(Digest.of(blob)), blob)
    return storage


async def delete(storage: MemoryStorage, *blobs: Descriptor) -> None:
    for blob in blobs:
        await storage.delete(keys.blob(blob.digest))


async def test_a_blob_that_was_seen_is_trusted_until_it_is_invalidated(
    storage: CountingStorage,
) -> None:
    cache = BlobExistenceCache(storage)
    assert await cache.has(FIRST)
    await delete(storage, FIRST)

    assert await cache.has(FIRST)
    cache.invalidate(FIRST.digest)
    assert not await cache.has(FIRST)


async def test_one_missing_blob_ends_the_trust_in_all_others(storage: CountingStorage) -> None:
    cache = BlobExistenceCache(storage)
    assert await cache.has_all(DESCRIPTORS)
    await delete(storage, *DESCRIPTORS)

    cache.invalidate(FIRST.digest)

    assert [await cache.has(blob) for blob in DESCRIPTORS] == [False, False, False]


async def test_a_missing_blob_found_by_a_look_ends_the_trust_in_all_others(
    storage: CountingStorage,
) -> None:
    cache = BlobExistenceCache(storage)
    assert await cache.has_all((FIRST, SECOND))
    await delete(storage, *DESCRIPTORS)

    assert not await cache.has(THIRD)

    assert [await cache.has(blob) for blob in DESCRIPTORS] == [False, False, False]


@pytest.mark.parametrize("invalidated", [FIRST, described(b"never stored")])
async def test_a_blob_that_stays_missing_does_not_end_trust_again(
    storage: CountingStorage, invalidated: Descriptor
) -> None:
    cache = BlobExistenceCache(storage)
    assert await cache.has_all(DESCRIPTORS)
    await delete(storage, FIRST)
    cache.invalidate(FIRST.digest)
    assert not await cache.has_all(DESCRIPTORS)
    assert await cache.has_all((SECOND, THIRD))
    looks = storage.looks

    for _ in range(3):
        cache.invalidate(invalidated.digest)
        assert not await cache.has(FIRST)
        assert await cache.has_all((SECOND, THIRD))

    assert storage.looks == looks + 3


async def test_a_stored_blob_is_trusted_again(storage: CountingStorage) -> None:
    cache = BlobExistenceCache(storage)
    await cache.has(FIRST)
    cache.invalidate(FIRST.digest)

    cache.note(FIRST)

    looks = storage.looks
    assert await cache.has(FIRST)
    assert storage.looks == looks


async def test_the_size_of_a_missing_or_damaged_blob_stays_known(storage: CountingStorage) -> None:
    cache = BlobExistenceCache(storage)
    assert cache.size(FIRST.digest) is None
    assert await cache.has_all((FIRST, SECOND))
    for blob in DESCRIPTORS:
        cache.invalidate(blob.digest)
    await delete(storage, FIRST)
    await storage.write(keys.blob(THIRD.digest), b"thr")

    assert not await cache.has_all(DESCRIPTORS)

    assert [cache.size(blob.digest) for blob in DESCRIPTORS] == [3, 3, 5]


async def test_trust_expires(storage: CountingStorage) -> None:
    now = 0.0
    cache = BlobExistenceCache(storage, clock=lambda: now)
    await cache.has(FIRST)
    await delete(storage, FIRST)

    now = 299
    assert await cache.has(FIRST)
    now = 300
    assert not await cache.has(FIRST)


async def test_one_missing_blob_among_many_is_noticed(storage: CountingStorage) -> None:
    cache = BlobExistenceCache(storage)
    assert await cache.has_all(DESCRIPTORS)
    assert not await cache.has_all((*DESCRIPTORS, described(b"another")))


@pytest.mark.parametrize("damaged", [b"", b"on", b"one and more"])
async def test_a_blob_of_another_size_does_not_count(
    storage: CountingStorage, damaged: bytes
) -> None:
    await storage.write(keys.blob(FIRST.digest), damaged)

    assert not await BlobExistenceCache(storage).has(FIRST)
    assert not await BlobExistenceCache(storage).has_all(DESCRIPTORS)


@pytest.mark.parametrize("damaged", [None, b"on"])
async def test_a_missing_or_damaged_blob_is_logged_once(
    storage: CountingStorage, damaged: bytes | None
) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append)
    cache = BlobExistenceCache(storage)
    await delete(storage, FIRST)
    if damaged is not None:
        await storage.write(keys.blob(FIRST.digest), damaged)

    for _ in range(3):
        assert not await cache.has(FIRST)

    logger.remove(sink)
    assert len(lines) == 1


async def test_no_more_blobs_are_remembered_than_the_limit(
    storage: CountingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existence_cache, "_LIMIT", 2)
    cache = BlobExistenceCache(storage)
    assert await cache.has_all(DESCRIPTORS)

    assert [cache.size(blob.digest) for blob in DESCRIPTORS] == [None, 3, 5]
