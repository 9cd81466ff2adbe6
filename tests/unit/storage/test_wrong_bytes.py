"""A blob with other bytes than those of its digest counts as missing, and is replaced."""

import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from loguru import logger

from app.oci import Digest
from app.storage import content_check, keys, spool
from app.storage.base import ObjectNotFound
from app.storage.filesystem import FilesystemStorage
from tests.contract.storage_contract import fetch

BODY = b"layer " * 50_000
WRONG = b"Layer" + BODY[5:]
KEY = keys.blob(Digest.of(BODY))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=["unnamed", "named"])
async def storage(request: pytest.FixtureRequest, root: Path) -> AsyncIterator[FilesystemStorage]:
    storage = await started(root)
    if request.param == "named":
        storage._publisher._new_spool = spool.named
    await adopt(storage)
    yield storage
    await storage.close()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that hashed a file, by name."""
    threads: list[str] = []
    hash_file = content_check._hash

    def recorded(file: object) -> str:
        threads.append(threading.current_thread().name)
        return hash_file(file)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(content_check, "_hash", recorded)
    return threads


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append)
    yield lines
    logger.remove(sink)


async def started(root: Path) -> FilesystemStorage:
    storage = FilesystemStorage(root)
    await storage.start()
    return storage


async def adopt(storage: FilesystemStorage) -> None:
    with storage.spool() as file:
        file.write(BODY)
        await storage.adopt(KEY, file)


def settle(path: Path) -> None:
    """Give the file an age at which its identity can be trusted."""
    os.utime(path, (0, 0))


def change(path: Path, body: bytes, how: str) -> None:
    """Replace the bytes and keep their number; try to hide it."""
    status = path.stat()
    match how:
        case "in place":
            with path.open("r+b") as file:
                file.write(body)
        case "in place, with the old time":
            with path.open("r+b") as file:
                file.write(body)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        case _:
            new = path.with_name("new")
            new.write_bytes(body)
            os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
            new.rename(path)


HOW = ["in place", "in place, with the old time", "by another file"]


async def assert_missing(storage: FilesystemStorage) -> None:
    for look in (storage.size, storage.locate):
        with pytest.raises(ObjectNotFound):
            await look(KEY)
    assert await storage.sizes([KEY]) == [None]
    with pytest.raises(ObjectNotFound):
        await anyio.to_thread.run_sync(storage.open, KEY)


async def assert_whole(storage: FilesystemStorage) -> None:
    assert await storage.size(KEY) == len(BODY)
    assert fetch(await storage.locate(KEY)) == BODY
    assert await storage.sizes([KEY]) == [len(BODY)]
    with await anyio.to_thread.run_sync(storage.open, KEY) as file:
        assert file.read() == BODY


@pytest.mark.parametrize("how", HOW)
async def test_a_blob_changed_under_the_server_that_wrote_it_is_missing_and_replaced(
    storage: FilesystemStorage, root: Path, how: str
) -> None:
    change(root / KEY, WRONG, how)

    await assert_missing(storage)
    await adopt(storage)
    await assert_whole(storage)


@pytest.mark.parametrize("how", HOW)
async def test_a_blob_changed_after_its_check_is_missing(
    storage: FilesystemStorage, root: Path, how: str
) -> None:
    restarted = await started(root)
    await assert_whole(restarted)
    change(root / KEY, WRONG, how)

    await assert_missing(restarted)
    change(root / KEY, BODY, how)
    await assert_whole(restarted)


async def test_a_blob_that_was_wrong_at_the_start_is_missing_and_replaced(
    storage: FilesystemStorage, root: Path
) -> None:
    change(root / KEY, WRONG, "in place")
    settle(root / KEY)
    restarted = await started(root)

    await assert_missing(restarted)
    await adopt(restarted)
    await assert_whole(restarted)


@pytest.mark.slow
async def test_a_wrong_blob_is_logged_once(
    storage: FilesystemStorage, root: Path, logged: list[str]
) -> None:
    change(root / KEY, WRONG, "in place")

    for _ in range(3):
        await assert_missing(storage)
    assert len(logged) == 1
    assert KEY in logged[0]

    await adopt(storage)
    change(root / KEY, WRONG, "in place")
    await assert_missing(storage)
    assert len(logged) == 2


async def test_a_blob_that_this_server_wrote_is_not_hashed(
    storage: FilesystemStorage, hashed: list[str]
) -> None:
    await assert_whole(storage)
    config = await storage.create(keys.blob(Digest.of(b"config")), b"config")

    assert await storage.size(keys.blob(Digest.of(config))) == 6
    assert hashed == []


@pytest.mark.parametrize("write", ["write", "create"])
async def test_bytes_written_under_another_digest_are_missing(
    storage: FilesystemStorage, write: str
) -> None:
    await storage.delete(KEY)
    await getattr(storage, write)(KEY, WRONG)

    await assert_missing(storage)


async def test_a_file_is_hashed_once_and_by_a_worker(
    storage: FilesystemStorage, root: Path, hashed: list[str]
) -> None:
    settle(root / KEY)
    restarted = FilesystemStorage(root, clock=lambda: 1e12)
    await restarted.start()

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(restarted.size, KEY)
    await assert_whole(restarted)

    assert len(hashed) == 1
    assert threading.main_thread().name not in hashed


async def test_a_wrong_file_is_hashed_once(
    storage: FilesystemStorage, root: Path, hashed: list[str]
) -> None:
    change(root / KEY, WRONG, "in place")
    restarted = FilesystemStorage(root, clock=lambda: 1e12)
    await restarted.start()

    for _ in range(3):
        await assert_missing(restarted)

    assert len(hashed) == 1


async def test_a_file_written_a_moment_ago_is_hashed_again(
    storage: FilesystemStorage, root: Path, hashed: list[str]
) -> None:
    """Its times have not moved when it is written twice within a tick of the kernel's clock."""
    now = (root / KEY).stat().st_ctime
    restarted = FilesystemStorage(root, clock=lambda: now + 0.01)
    await restarted.start()

    await restarted.size(KEY)
    await restarted.size(KEY)

    assert len(hashed) == 2


async def test_a_file_that_is_written_while_it_is_hashed_is_looked_at_again(
    storage: FilesystemStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarted = FilesystemStorage(root, clock=lambda: 1e12)
    await restarted.start()
    hash_file = content_check._hash

    def changed(file: object) -> str:
        found = hash_file(file)  # type: ignore[arg-type]  # as it was given
        change(root / KEY, WRONG, "in place")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(content_check, "_hash", changed)
        with pytest.raises(ObjectNotFound):
            await restarted.size(KEY)

    await assert_missing(restarted)


async def test_a_raw_object_is_opened_whatever_its_bytes(
    storage: FilesystemStorage, root: Path
) -> None:
    change(root / KEY, WRONG, "in place")

    with storage.open_raw(KEY) as file:
        assert file.read() == WRONG


async def test_records_and_manifests_are_not_hashed(
    storage: FilesystemStorage, root: Path, hashed: list[str]
) -> None:
    for key in (f"builds/{'a' * 64}", f"manifests/sha256/{'a' * 64}"):
        await storage.write(key, b"body")
        (root / key).write_bytes(b"ydob")
        assert await storage.size(key) == 4
    assert hashed == []


async def test_a_file_of_holes_is_not_hashed(
    storage: FilesystemStorage, root: Path, hashed: list[str], logged: list[str]
) -> None:
    os.truncate(root / KEY, 1 << 42)

    with pytest.raises(ObjectNotFound):
        await storage.size(KEY)

    assert hashed == []
    assert any("it consists of holes" in line for line in logged)
    await adopt(storage)
    assert await storage.size(KEY) == len(BODY)
