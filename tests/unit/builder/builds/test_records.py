import pytest

from app.builder.builds.records import BUILDS, INDEXES, BuildRecords
from app.builder.images.image import BuiltImage, BuiltIndex, Child, LeftOut
from app.oci import Descriptor, Digest, MediaType
from app.storage import keys
from app.storage.blobs import BlobStore
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.storage.records.kind import key_of

KEY = key_of("image")


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def opened(storage: MemoryStorage) -> BuildRecords[BuiltImage]:
    return BuildRecords(storage=storage, existence=BlobExistenceCache(storage), kind=BUILDS)


@pytest.fixture
async def image(storage: MemoryStorage) -> BuiltImage:
    blobs = BlobStore(storage)
    layer = await blobs.write_blob(b"layer")
    manifest = await blobs.write_manifest(b"manifest")
    return BuiltImage(
        manifest=Descriptor(MediaType.OCI_MANIFEST, manifest, 8),
        docker_manifest=None,
        blobs=frozenset({Descriptor(MediaType.OCI_LAYER_GZIP, layer, 5)}),
        warnings=("watch out",),
    )


async def test_a_build_is_known_to_the_next_process(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    await opened(storage).write(KEY, image)

    assert await opened(storage).read(KEY) == image
    assert await opened(storage).read(key_of("other")) is None


async def test_documents_that_were_just_stored_are_not_looked_at(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    existence = BlobExistenceCache(storage)
    builds = BuildRecords(storage=storage, existence=existence, kind=BUILDS)
    (layer,) = image.blobs
    existence.note(layer)
    # A look at either would find nothing.
    for key in (keys.manifest(image.manifest.digest), keys.blob(layer.digest)):
        await storage.delete(key)

    await builds.write(KEY, image, image.manifests)

    assert existence.trust((image.manifest, layer)) is not None


async def test_a_build_without_its_manifest_is_forgotten(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    await opened(storage).write(KEY, image)
    await storage.delete(keys.manifest(image.manifest.digest))

    assert await opened(storage).read(KEY) is None


async def test_a_build_is_invalid_after_a_client_missed_its_layer(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    existence = BlobExistenceCache(storage)
    builds = BuildRecords(storage=storage, existence=existence, kind=BUILDS)
    await builds.write(KEY, image)
    assert await builds.read(KEY) == image
    (layer,) = image.blobs
    await storage.delete(keys.blob(layer.digest))

    existence.invalidate(layer.digest)

    assert await builds.read(KEY) is None


async def test_a_build_whose_layer_was_cut_off_is_forgotten(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    await opened(storage).write(KEY, image)
    (layer,) = image.blobs
    await storage.write(keys.blob(layer.digest), b"lay")

    assert await opened(storage).read(KEY) is None


async def test_a_build_whose_manifest_is_damaged_is_forgotten(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    await opened(storage).write(KEY, image)
    await storage.write(keys.manifest(image.manifest.digest), b"manifesT")

    assert await opened(storage).read(KEY) is None


async def test_a_build_is_checked_again_after_a_client_missed_its_manifest(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    builds = opened(storage)
    await builds.write(KEY, image)
    assert await builds.read(KEY) == image
    await storage.delete(keys.manifest(image.manifest.digest))

    builds.lost_document(Digest.of(b"of another image"))
    assert await builds.read(KEY) == image
    builds.lost_document(image.manifest.digest)

    assert await builds.read(KEY) is None


@pytest.mark.parametrize("digest", ["", "sha256:abc", "no digest"])
async def test_a_record_with_an_invalid_digest_is_a_miss(
    storage: MemoryStorage, image: BuiltImage, digest: str
) -> None:
    await opened(storage).write(KEY, image)
    (key,) = await storage.keys("builds/")
    body = await storage.read(key)
    await storage.write(key, body.replace(str(image.manifest.digest).encode(), digest.encode()))

    assert await opened(storage).read(KEY) is None


async def test_the_first_of_two_servers_that_make_an_index_decides(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    def records() -> BuildRecords[BuiltIndex]:
        existence = BlobExistenceCache(storage)
        return BuildRecords(storage=storage, existence=existence, kind=INDEXES)

    document = Descriptor(MediaType.OCI_INDEX, await BlobStore(storage).write_manifest(b"index"), 5)
    children = (Child("amd64", image),)
    whole = BuiltIndex(document, None, children)
    partial = BuiltIndex(document, None, children, (LeftOut("arm64", "no such package: a"),))
    first, second = records(), records()

    assert await first.settle(KEY, partial) == partial
    assert await second.settle(KEY, whole) == partial
    assert await second.read(KEY) == partial
    assert await records().read(KEY) == partial


async def test_a_decision_is_known_although_the_index_is_incomplete(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    existence = BlobExistenceCache(storage)
    records = BuildRecords(storage=storage, existence=existence, kind=INDEXES)
    lost = Descriptor(MediaType.OCI_INDEX, Digest.of(b"lost"), 4)
    index = BuiltIndex(lost, None, (Child("amd64", image),))
    await BuildRecords(storage=storage, existence=BlobExistenceCache(storage), kind=INDEXES).settle(
        KEY, index
    )

    assert await records.read(KEY) is None
    assert await records.recorded(KEY) == index
