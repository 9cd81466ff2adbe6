"""BlobStore: digests in, the specification's errors out."""

import pytest

from app.errors import BlobUnknown, ManifestUnknown
from app.oci import Digest
from app.storage import keys
from app.storage.base import Content
from app.storage.blobs import BlobStore
from app.storage.memory import MemoryStorage

ABSENT = Digest.of(b"absent")


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def blobs(storage: MemoryStorage) -> BlobStore:
    return BlobStore(storage)


async def test_a_blob_is_found_by_its_digest(blobs: BlobStore) -> None:
    digest = await blobs.write_blob(b"config")

    assert digest == Digest.of(b"config")
    assert await blobs.locate(digest) == Content(b"config")


async def test_manifests_and_blobs_do_not_see_each_other(blobs: BlobStore) -> None:
    manifest = await blobs.write_manifest(b"{}")
    blob = await blobs.write_blob(b"[]")

    assert await blobs.read_manifest(manifest) == b"{}"
    with pytest.raises(BlobUnknown):
        await blobs.locate(manifest)
    with pytest.raises(ManifestUnknown):
        await blobs.read_manifest(blob)


async def test_an_unknown_digest_is_an_error_of_the_specification(blobs: BlobStore) -> None:
    with pytest.raises(BlobUnknown, match=str(ABSENT)):
        await blobs.locate(ABSENT)
    with pytest.raises(ManifestUnknown, match=str(ABSENT)):
        await blobs.read_manifest(ABSENT)


@pytest.mark.parametrize(
    "digest", ["sha512:" + "a" * 128, "sha384:" + "b" * 96, "multihash+b58:QmRZxt2b1FVZPNqd8hsi=="]
)
async def test_a_digest_of_another_algorithm_is_valid_and_unknown(
    blobs: BlobStore, digest: str
) -> None:
    parsed = Digest.parse(digest)

    with pytest.raises(BlobUnknown):
        await blobs.locate(parsed)
    with pytest.raises(ManifestUnknown):
        await blobs.read_manifest(parsed)


async def test_damaged_bytes_under_a_digest_are_replaced(
    blobs: BlobStore, storage: MemoryStorage
) -> None:
    digest = Digest.of(b"manifest")
    await storage.write(f"manifests/sha256/{digest.hex}", b"manif")

    await blobs.write_manifest(b"manifest")

    assert await blobs.read_manifest(digest) == b"manifest"


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_a_small_blob_with_other_bytes_is_not_read(
    blobs: BlobStore, storage: MemoryStorage, body: bytes
) -> None:
    digest = await blobs.write_blob(b'{"architecture":"amd64"}')
    await storage.write(keys.blob(digest), body)

    with pytest.raises(BlobUnknown):
        await blobs.read(digest)
