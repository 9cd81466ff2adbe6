import pytest

from app.builder.builds.builds import Builds
from app.builder.image import BuiltImage
from app.builder.packing import codec
from app.builder.packing.packer import LayerPacker
from app.builder.records.records import key_of
from app.builder.running.workers import Workers
from app.oci import Descriptor, MediaType
from app.storage import keys
from app.storage.blobs import BlobStore
from app.storage.memory import MemoryStorage

KEY = key_of("image")


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def opened(storage: MemoryStorage) -> Builds:
    workers = Workers(1)
    return Builds(
        storage=storage,
        packer=LayerPacker(storage=storage, workers=workers, codec=codec.find("zlib")),
    )


@pytest.fixture
async def image(storage: MemoryStorage) -> BuiltImage:
    blobs = BlobStore(storage)
    layer = await blobs.write_blob(b"layer")
    manifest = await blobs.write_manifest(b"manifest")
    return BuiltImage(
        manifest=Descriptor(MediaType.OCI_MANIFEST, manifest, 8),
        docker_manifest=None,
        blobs=frozenset({layer}),
        warnings=("watch out",),
    )


async def test_a_build_is_known_to_the_next_process(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    await opened(storage).write(KEY, image)

    assert await opened(storage).read(KEY) == image
    assert await opened(storage).read(key_of("other")) is None


async def test_a_build_without_its_manifest_is_forgotten(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    await opened(storage).write(KEY, image)
    await storage.delete(keys.manifest(image.manifest.digest))

    assert await opened(storage).read(KEY) is None


async def test_a_build_without_a_layer_is_forgotten_once_somebody_missed_it(
    storage: MemoryStorage, image: BuiltImage
) -> None:
    builds = opened(storage)
    await builds.write(KEY, image)
    assert await builds.read(KEY) == image
    (layer,) = image.blobs
    await storage.delete(keys.blob(layer))

    builds.lost(layer)

    assert await builds.read(KEY) is None
