"""Real clients fetch blobs from a bucket, by the signed addresses we send them to."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from app.oci import Digest
from app.settings.loading import load_settings
from app.storage import keys
from app.storage.blobs import BlobStore
from app.storage.gcs.bucket import GcsStorage
from app.wiring.http import create_app
from tests.e2e.clients import Client, pull
from tests.e2e.test_clients import busybox_image
from tests.fakes.gcs import BUCKET, FakeGcs
from tests.served import served

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    directory = tmp_path_factory.mktemp("bucket")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("NIXERY_STORAGE", "gcs")
        monkeypatch.setenv("GCS_BUCKET", BUCKET)
        monkeypatch.setenv("NIXERY_STATE_PATH", str(directory / "state"))
        with FakeGcs.served(directory) as fake:
            anyio.run(_upload, directory / "spool")
            yield fake


async def _upload(spool_directory: Path) -> None:
    storage = GcsStorage(bucket=BUCKET, spool_directory=spool_directory)
    await storage.start()
    blobs = BlobStore(storage)
    manifest, layers = busybox_image()
    for blob in layers.values():
        with storage.spool() as file:
            file.write(blob)
            await storage.adopt(keys.blob(Digest.of(blob)), file)
    await blobs.write_manifest(manifest)
    await storage.close()


@pytest.fixture(scope="module")
def registry(bucket: FakeGcs) -> Iterator[str]:
    with served(create_app(load_settings())) as address:
        yield address.removeprefix("http://").replace("127.0.0.1", "localhost")


def test_every_client_follows_us_to_the_bucket(
    client: Client, bucket: FakeGcs, registry: str
) -> None:
    image = f"{registry}/{client.name}@{Digest.of(busybox_image()[0])}"
    bucket.log.clear()

    pull(client, image)

    assert client.run(image, "echo", "ran", "in", client.name) == f"ran in {client.name}\n"
    layers = busybox_image()[1]
    layer = str(max(layers, key=lambda digest: len(layers[digest]))).removeprefix("sha256:")
    assert f"GET /{BUCKET}/blobs/sha256/{layer}" in bucket.log
