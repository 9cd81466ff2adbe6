"""What is special about a bucket: lost replies, signatures, permissions, credentials."""

import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
import requests
from google.auth import iam
from google.auth.compute_engine import _metadata

from app.errors import StorageUnavailable
from app.oci import Digest
from app.storage.base import ObjectNotFound, RemoteUrl
from app.storage.gcs import objects
from app.storage.gcs.bucket import GcsStorage
from app.system.cache import Cache
from tests.fakes.gcs import BUCKET, EMAIL, FakeGcs, Fault

pytestmark = pytest.mark.slow

RECORD = "builds/x"
LARGE = bytes(range(256)) * 80_000  # more than one request takes
KEY = f"blobs/sha256/{Digest.of(LARGE).hex}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    with FakeGcs.served(tmp_path_factory.mktemp("gcs")) as fake:
        yield fake


@pytest.fixture
def fake(server: FakeGcs) -> FakeGcs:
    server.reset()
    return server


@pytest.fixture
def unstarted(fake: FakeGcs, tmp_path: Path) -> GcsStorage:
    storage = GcsStorage(bucket=BUCKET, spool_directory=tmp_path / "spool")
    storage._objects.retry = storage._objects.retry.with_delay(initial=0.01, maximum=0.05)
    return storage


@pytest.fixture
async def storage(unstarted: GcsStorage) -> AsyncIterator[GcsStorage]:
    await unstarted.start()
    yield unstarted
    await unstarted.close()


async def test_a_record_replaces_an_object_that_is_too_large_to_be_read(
    storage: GcsStorage, fake: FakeGcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.objects[RECORD] = bytes(100)
    monkeypatch.setattr(objects, "READ_LIMIT", 10)
    read, attempts = storage._objects.read, iter(range(10))

    def counted(key: str) -> bytes:
        assert next(attempts, None) is not None, "a loop without an end"
        return read(key)

    monkeypatch.setattr(storage._objects, "read", counted)

    assert await storage.create(RECORD, b"record") == b"record"

    assert fake.objects[RECORD] == b"record"


async def adopt(storage: GcsStorage, body: bytes) -> None:
    with storage.spool() as file:
        file.write(body)
        await storage.adopt(KEY, file)


@pytest.mark.parametrize("lost", ["request", "reply"])
async def test_a_record_is_created_once_whatever_gets_lost(
    storage: GcsStorage, fake: FakeGcs, lost: str
) -> None:
    fake.faults = [Fault("POST", "/upload/", after=lost == "reply")]

    assert await storage.create(RECORD, b"ours") == b"ours"
    assert await storage.create(RECORD, b"theirs") == b"ours"
    assert fake.faults == []


@pytest.mark.parametrize("lost", ["request", "reply"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_layer_arrives_whole_whatever_gets_lost(
    storage: GcsStorage, fake: FakeGcs, method: str, lost: str
) -> None:
    fake.faults = [Fault(method, "/upload/", after=lost == "reply")]

    await adopt(storage, LARGE)

    assert fake.faults == []
    assert fake.objects == {KEY: LARGE}


async def test_the_last_reply_of_a_layer_may_be_lost(storage: GcsStorage, fake: FakeGcs) -> None:
    fake.faults = [Fault("PUT", "/upload/", after=True) for _ in range(3)]

    await adopt(storage, LARGE)

    assert fake.faults == []
    assert fake.objects == {KEY: LARGE}


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["one request", "several requests"])
async def test_an_object_that_is_there_is_left_however_large_the_other_is(
    storage: GcsStorage, fake: FakeGcs, body: bytes
) -> None:
    fake.objects[KEY] = b"first"

    assert not storage._objects.upload(KEY, BytesIO(body), replace=False)
    assert fake.objects == {KEY: b"first"}
    assert storage._objects.upload(KEY, BytesIO(body), replace=True)
    assert fake.objects == {KEY: body}


async def test_a_layer_that_is_there_is_not_sent_again(storage: GcsStorage, fake: FakeGcs) -> None:
    fake.objects[KEY] = LARGE

    await adopt(storage, LARGE)

    assert [line for line in fake.log if "/upload/" in line] == []


async def test_an_upload_that_breaks_off_leaves_nothing(storage: GcsStorage, fake: FakeGcs) -> None:
    fake.faults = [Fault("PUT", "/upload/", status=403)]

    with pytest.raises(StorageUnavailable):
        await adopt(storage, LARGE)

    assert fake.objects == {}


async def test_a_signed_address_is_for_get_of_this_object_alone(
    storage: GcsStorage, fake: FakeGcs
) -> None:
    await adopt(storage, LARGE)

    location = await storage.locate(KEY)

    assert isinstance(location, RemoteUrl)
    assert location.size == len(LARGE)
    assert requests.get(location.url, timeout=300).content == LARGE
    part = requests.get(location.url, headers={"range": "bytes=7-9"}, timeout=300)
    assert (part.status_code, part.content) == (206, LARGE[7:10])
    assert requests.head(location.url, timeout=300).status_code == 403
    other = location.url.replace(KEY, "builds/other")
    assert requests.get(other, timeout=300).status_code == 403


def test_addresses_have_the_name_of_googles_host(
    monkeypatch: pytest.MonkeyPatch, unstarted: GcsStorage
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    unstarted._objects.connect()

    address = urlsplit(unstarted._objects.signed_url(KEY))

    # Some clients follow no redirect to an address in numbers.
    assert (address.scheme, address.netloc) == ("https", "storage.googleapis.com")


async def test_an_address_is_signed_once_in_half_its_life(
    storage: GcsStorage, fake: FakeGcs
) -> None:
    now = 0.0
    storage._urls = Cache(10, seconds=30 * 60, clock=lambda: now)
    await storage.write(KEY, b"layer")
    first = await storage.locate(KEY)
    asked = len(fake.log)

    assert await storage.locate(KEY) == first
    assert len(fake.log) == asked
    now += 30 * 60
    await storage.locate(KEY)
    assert len(fake.log) == asked + 1


async def test_a_look_at_the_size_drops_the_address_of_a_replaced_object(
    storage: GcsStorage, fake: FakeGcs, tmp_path: Path
) -> None:
    other = GcsStorage(bucket=BUCKET, spool_directory=tmp_path / "other")
    await other.start()
    await other.write(KEY, b"short")
    assert (await storage.locate(KEY)).size == 5
    await other.write(KEY, b"the whole layer")

    assert await storage.sizes([KEY]) == [15]

    assert (await storage.locate(KEY)).size == 15
    await other.close()


async def test_the_address_of_a_replaced_or_deleted_object_is_dropped(storage: GcsStorage) -> None:
    await storage.write(KEY, b"layer")
    await storage.locate(KEY)

    await storage.write(KEY, b"longer layer")
    assert (await storage.locate(KEY)).size == 12
    await storage.delete(KEY)
    with pytest.raises(ObjectNotFound):
        await storage.locate(KEY)


@pytest.mark.parametrize("size", [1000, 1001])
async def test_an_object_beyond_the_limit_is_not_read_into_memory(
    storage: GcsStorage, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(objects, "READ_LIMIT", 1000)
    await storage.write(RECORD, bytes(size))

    if size <= 1000:
        assert await storage.read(RECORD) == bytes(size)
        return
    with pytest.raises(ObjectNotFound):
        await storage.read(RECORD)
    assert await storage.read_each([RECORD]) == [None]


@pytest.fixture
def machine(fake: FakeGcs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGcs:
    """No key: credentials are the machine's own, and IAM signs."""
    host = urlsplit(fake.address).netloc
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_IP", host)
    monkeypatch.setattr(iam, "_IAM_SIGN_ENDPOINT", f"{fake.address}/sign/{{}}")
    return fake


async def test_a_machine_without_a_key_has_addresses_signed(
    machine: FakeGcs, storage: GcsStorage
) -> None:
    await adopt(storage, LARGE)

    location = await storage.locate(KEY)

    assert isinstance(location, RemoteUrl)
    assert requests.get(location.url, timeout=300).content == LARGE
    assert machine.log.count(f"POST /sign/{EMAIL}") == 2  # at the start, for a trial


async def test_the_start_names_the_role_that_is_missing_for_signatures(
    machine: FakeGcs, unstarted: GcsStorage
) -> None:
    machine.may_sign = False

    with pytest.raises(StorageUnavailable, match=r"roles/iam\.serviceAccountTokenCreator"):
        await unstarted.start()


async def test_without_credentials_the_start_explains_how_to_give_them(
    fake: FakeGcs, unstarted: GcsStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True)

    with pytest.raises(StorageUnavailable, match="GOOGLE_APPLICATION_CREDENTIALS"):
        await unstarted.start()


async def test_missing_permissions_stop_the_start_and_are_named(
    fake: FakeGcs, unstarted: GcsStorage
) -> None:
    fake.permissions -= {"storage.objects.create", "storage.objects.delete"}

    with pytest.raises(
        StorageUnavailable, match=r"lack storage\.objects\.create, storage\.objects\.delete on"
    ):
        await unstarted.start()


async def test_a_bucket_that_is_not_there_stops_the_start(fake: FakeGcs, tmp_path: Path) -> None:
    storage = GcsStorage(bucket="imagse", spool_directory=tmp_path / "spool")

    with pytest.raises(StorageUnavailable, match="bucket imagse does not exist"):
        await storage.start()


async def test_a_permission_lost_later_fails_the_check_without_naming_the_bucket(
    storage: GcsStorage, fake: FakeGcs
) -> None:
    fake.permissions.clear()

    with pytest.raises(StorageUnavailable) as failure:
        await storage.check()

    assert BUCKET not in failure.value.message


async def test_an_unreachable_bucket_is_reported_without_its_name(
    storage: GcsStorage, fake: FakeGcs
) -> None:
    storage._objects.retry = storage._objects.retry.with_timeout(0.2)
    fake.faults = [Fault("GET", "/o/") for _ in range(1000)]

    with pytest.raises(StorageUnavailable, match="does not respond") as failure:
        await storage.size(KEY)

    assert BUCKET not in failure.value.message
    assert failure.value.__cause__ is not None


async def test_a_refused_connection_is_reported(
    storage: GcsStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage._objects.retry = storage._objects.retry.with_timeout(0.2)

    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(storage._objects._connection.client._http, "request", refuse)

    with pytest.raises(StorageUnavailable, match="does not respond"):
        await storage.read(KEY)


async def test_bytes_damaged_on_the_way_are_noticed(storage: GcsStorage, fake: FakeGcs) -> None:
    await adopt(storage, LARGE)
    fake.damaged.add(KEY)

    with pytest.raises(StorageUnavailable):
        await storage.read(KEY)
    with pytest.raises(StorageUnavailable):
        storage.open(KEY)


async def test_many_at_once_share_a_pool_of_connections(
    storage: GcsStorage, caplog: pytest.LogCaptureFixture
) -> None:
    await storage.write(RECORD, b"body")
    caplog.set_level(logging.WARNING, "urllib3")

    async with anyio.create_task_group() as group:
        for _ in range(64):
            group.start_soon(storage.read, RECORD)

    assert "pool" not in caplog.text


def test_googles_library_is_not_loaded_without_a_bucket() -> None:
    program = "import sys, app.__main__; print(*(m for m in sys.modules if 'google' in m))"

    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert loaded.stdout == "\n"
