"""The directory may be changed at any time under a running server: it goes on without a restart."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from loguru import logger

from app.errors import StorageUnavailable
from app.oci import Digest
from app.storage import keys, spool
from app.storage.base import READ_LIMIT, ObjectNotFound
from app.storage.filesystem import FilesystemStorage
from tests.deep import deep

KEY = f"blobs/sha256/{'a' * 64}"
RECORD = f"builds/{'b' * 64}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=["unnamed", "named"])
async def storage(request: pytest.FixtureRequest, root: Path) -> FilesystemStorage:
    storage = FilesystemStorage(root)
    await storage.start()
    if request.param == "named":
        storage._publisher._new_spool = spool.named
    await storage.write(RECORD, b"before")
    await adopt(storage, KEY, b"before")
    return storage


async def adopt(storage: FilesystemStorage, key: str, body: bytes) -> None:
    with storage.spool() as file:
        file.write(body)
        await storage.adopt(key, file)


async def assert_stores(storage: FilesystemStorage) -> None:
    """Everything can be written, in each of the ways, and is read back."""
    await storage.check()
    await adopt(storage, KEY, b"layer")
    assert await storage.read(KEY) == b"layer"
    assert await storage.create(RECORD, b"record") == b"record"
    await storage.write(RECORD, b"another")
    with storage.open(RECORD) as file:
        assert file.read() == b"another"


@pytest.mark.parametrize(
    "removed", [".", ".staging", "blobs", "builds", KEY, RECORD, f"{KEY} {RECORD} .staging"]
)
async def test_a_removed_file_or_directory_is_created_again(
    storage: FilesystemStorage, root: Path, removed: str
) -> None:
    for name in removed.split():
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for key in removed.split():
        with pytest.raises(ObjectNotFound):
            await storage.read(key if key in {KEY, RECORD} else f"{key.strip('.')}x/gone")
    (root / RECORD).unlink(missing_ok=True)
    (root / KEY).unlink(missing_ok=True)

    await assert_stores(storage)


@pytest.mark.parametrize("name", [".staging", "blobs", "builds", "blobs/sha256"])
@pytest.mark.parametrize("instead", ["a file", "a dangling link", "a loop"])
async def test_a_file_in_the_place_of_a_directory_is_moved_away(
    storage: FilesystemStorage, root: Path, name: str, instead: str
) -> None:
    shutil.rmtree(root / name)
    match instead:
        case "a file":
            (root / name).write_bytes(b"in the way")
        case "a dangling link":
            (root / name).symlink_to(root / "nowhere")
        case _:
            (root / name).symlink_to(root / name)
    if name != "builds":
        (root / RECORD).unlink()

    await assert_stores(storage)


async def test_a_storage_at_a_dangling_link_is_not_a_directory(tmp_path: Path) -> None:
    (tmp_path / "storage").symlink_to("nowhere")

    with pytest.raises(StorageUnavailable, match=r"cannot store files in .*\(Not a directory\)"):
        await FilesystemStorage(tmp_path / "storage").start()


def _socket(path: Path) -> None:
    # Its address is short, wherever the store is.
    at = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{at}/{path.name}")
    os.close(at)


def _full_directory(path: Path) -> None:
    path.mkdir()
    (path / "in the way").write_bytes(b"")


def _link_to_an_object(path: Path) -> None:
    target = path.parent / "elsewhere"
    target.write_bytes(b"wrong bytes")
    path.symlink_to(target)


def _too_large(path: Path) -> None:
    path.touch()
    os.truncate(path, READ_LIMIT + 1)


KINDS: dict[str, Callable[[Path], None]] = {
    "an empty directory": Path.mkdir,
    "a directory": _full_directory,
    "a link to an object": _link_to_an_object,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a loop": lambda path: path.symlink_to(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a device": lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_object_that_is_not_a_file_is_absent_and_replaced(
    storage: FilesystemStorage, root: Path, kind: str
) -> None:
    for key in (KEY, RECORD):
        (root / key).unlink()
        KINDS[kind](root / key)

        for look in (storage.size, storage.read, storage.locate):
            with pytest.raises(ObjectNotFound):
                await look(key)
        with pytest.raises(ObjectNotFound):
            storage.open(key)
        assert await storage.sizes([key]) == [None]
        assert await storage.read_each([key]) == [None]

    await assert_stores(storage)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_record_replaces_a_name_that_is_not_a_file(
    storage: FilesystemStorage, root: Path, kind: str
) -> None:
    (root / RECORD).unlink()
    KINDS[kind](root / RECORD)

    await storage.write(RECORD, b"record")

    assert await storage.read(RECORD) == b"record"


async def test_a_record_that_would_fill_the_memory_is_absent(
    storage: FilesystemStorage, root: Path
) -> None:
    _too_large(root / RECORD)

    with pytest.raises(ObjectNotFound):
        await storage.read(RECORD)


async def test_a_file_that_the_disk_cannot_read_is_absent(
    storage: FilesystemStorage, root: Path
) -> None:
    """A process's memory is a regular file whose first page cannot be read."""
    (root / RECORD).unlink()
    (root / "builds").rmdir()
    (root / "builds").symlink_to("/proc/self")

    with pytest.raises(ObjectNotFound):
        await storage.read("builds/mem")


async def test_a_foreign_file_is_logged_once(storage: FilesystemStorage, root: Path) -> None:
    logged: list[str] = []
    sink = logger.add(logged.append)
    (root / RECORD).unlink()
    os.mkfifo(root / RECORD)

    for _ in range(3):
        assert await storage.read_each([RECORD]) == [None]

    logger.remove(sink)
    assert len(logged) == 1
    assert RECORD in logged[0]


@pytest.mark.parametrize("place", [RECORD, "tags/deep"])
async def test_a_deep_directory_does_not_disturb_storage(root: Path, place: str) -> None:
    storage = FilesystemStorage(root)
    await storage.start()
    with deep(root / place, 1100, within=root):
        await assert_stores(storage)

        assert {KEY, RECORD} <= set(await storage.keys(""))
        for aside in (root / ".staging").iterdir():
            os.utime(aside, (0, 0))
        await FilesystemStorage(root).start()
        assert list((root / ".staging").iterdir()) == []


@pytest.mark.parametrize("seconds", [-(2**31), 2**31, 2**33, 2**60])
async def test_a_blob_of_any_time_is_found(
    storage: FilesystemStorage, root: Path, seconds: int
) -> None:
    key = keys.blob(Digest.of(b"layer"))
    await adopt(storage, key, b"layer")
    os.utime(root / key, (seconds, seconds))

    assert await storage.sizes([key]) == [5]
    assert await FilesystemStorage(root).size(key) == 5


async def test_a_file_that_was_moved_away_is_removed_later(
    storage: FilesystemStorage, root: Path
) -> None:
    (root / RECORD).unlink()
    _full_directory(root / RECORD)
    await storage.write(RECORD, b"record")
    (aside,) = (root / ".staging").iterdir()
    assert (aside / "in the way").exists()

    await storage.start()
    assert aside.exists()
    os.utime(aside, (0, 0))
    await storage.start()

    assert list((root / ".staging").iterdir()) == []
