"""Manifests in memory are the ones in storage, within a budget."""

import json

import pytest

from app.builder.builds.manifests import Manifests
from app.errors import ManifestUnknown
from app.oci import Descriptor, Digest, MediaType
from app.storage import keys
from app.storage.blobs import BlobStore
from app.storage.memory import MemoryStorage


def body(number: int) -> bytes:
    return json.dumps({"mediaType": "application/test", "number": number}).encode()


def never(digest: Digest) -> None:
    raise AssertionError(digest)


async def test_a_manifest_is_read_from_storage_once() -> None:
    storage = MemoryStorage()
    blobs = BlobStore(storage)
    digest = await blobs.write_manifest(body(1))
    manifests = Manifests(blobs=blobs, budget=1000, lost=never)
    first = await manifests.read(digest)

    await storage.delete(keys.manifest(digest))

    assert await manifests.read(digest) is first
    assert (first.media_type, first.body) == ("application/test", body(1))


async def test_a_manifest_that_was_just_written_is_stored_and_not_read_back() -> None:
    storage = MemoryStorage()
    manifests = Manifests(blobs=BlobStore(storage), budget=1000, lost=never)
    document = json.dumps({"mediaType": MediaType.OCI_MANIFEST}).encode()

    written = await manifests.write(MediaType.OCI_MANIFEST, document)

    assert written == Descriptor(MediaType.OCI_MANIFEST, Digest.of(document), len(document))
    assert await storage.read(keys.manifest(written.digest)) == document
    await storage.delete(keys.manifest(written.digest))
    found = await manifests.read(written.digest)
    assert (found.media_type, found.body) == (MediaType.OCI_MANIFEST, document)


async def test_the_least_recently_requested_is_evicted() -> None:
    storage = MemoryStorage()
    blobs = BlobStore(storage)
    lost: list[Digest] = []
    digests = [await blobs.write_manifest(body(number)) for number in range(3)]
    manifests = Manifests(blobs=blobs, budget=2 * len(body(0)), lost=lost.append)
    for index in (0, 1, 0, 2):
        await manifests.read(digests[index])

    for digest in digests:
        await storage.delete(keys.manifest(digest))

    await manifests.read(digests[0])
    await manifests.read(digests[2])
    with pytest.raises(ManifestUnknown):
        await manifests.read(digests[1])
    assert lost == [digests[1]]


async def test_damaged_bytes_are_never_served_and_are_reported() -> None:
    lost: list[Digest] = []
    storage = MemoryStorage()
    digest = Digest.of(body(1))
    await storage.write(keys.manifest(digest), body(2))

    with pytest.raises(ManifestUnknown):
        await Manifests(blobs=BlobStore(storage), budget=1000, lost=lost.append).read(digest)
    assert lost == [digest]
