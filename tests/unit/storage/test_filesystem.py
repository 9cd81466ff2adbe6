"""What is special about files: where they lie, in which order they are synced, who may start."""

import hashlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.oci import Digest
from app.storage import keys, spool
from app.storage.base import Content, LocalFile, ObjectNotFound
from app.storage.filesystem import FilesystemStorage
from tests.contract.storage_contract import fetch

KEY = f"blobs/sha256/{'a' * 64}"


@pytest.fixture
async def storage(tmp_path: Path) -> FilesystemStorage:
    storage = FilesystemStorage(tmp_path / "store")
    await storage.start()
    return storage


async def adopt(storage: FilesystemStorage, key: str, body: bytes) -> None:
    with storage.spool() as file:
        file.write(body)
        await storage.adopt(key, file)


async def test_an_object_has_the_path_of_its_key_and_other_programs_may_read_it(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    umask = os.umask(0o022)  # that of the machine may forbid it
    await adopt(storage, KEY, b"layer")
    os.umask(umask)

    path = tmp_path / "store" / KEY
    assert await storage.locate(KEY) == Content(b"layer")
    assert path.read_bytes() == b"layer"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


async def test_a_large_file_is_located_and_a_small_one_is_read(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    for size in (64 << 10, (64 << 10) + 1):
        body = b"x" * size
        key = f"blobs/sha256/{hashlib.sha256(body).hexdigest()}"
        await adopt(storage, key, body)
        is_small = size <= 64 << 10
        expected = Content(body) if is_small else LocalFile(tmp_path / "store" / key, size)
        location = await storage.locate(key)
        assert location == expected
        fetch(location)


async def test_a_located_file_is_open_so_that_it_may_be_deleted_before_it_is_sent(
    storage: FilesystemStorage,
) -> None:
    body = b"x" * ((64 << 10) + 1)
    key = f"blobs/sha256/{hashlib.sha256(body).hexdigest()}"
    await adopt(storage, key, body)

    location = await storage.locate(key)
    await storage.delete(key)

    assert fetch(location) == body


async def test_a_layer_is_adopted_without_being_copied(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    with storage.spool() as file:
        file.write(b"layer")
        inode = os.fstat(file.fileno()).st_ino
        await storage.adopt(KEY, file)

    assert (tmp_path / "store" / KEY).stat().st_ino == inode


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches the system, in order: sync and link, with the name below the store."""
    seen: list[str] = []
    fsync, link, rename = os.fsync, os.link, Path.rename

    def name(descriptor: int) -> str:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        return "spool" if ".staging" in path else path.rpartition("/store")[2] or "/"

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        seen.append(f"sync {name(descriptor)}")

    def recorded_link(source: str, target: Path, *, src_dir_fd: int, follow_symlinks: bool) -> None:
        link(source, target, src_dir_fd=src_dir_fd, follow_symlinks=follow_symlinks)
        seen.append("name" if ".staging" in str(target) else f"link {target.name}")

    def recorded_rename(path: Path, target: Path) -> Path:
        seen.append(f"rename {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "link", recorded_link)
    monkeypatch.setattr(Path, "rename", recorded_rename)
    return seen


async def test_data_are_synced_before_the_link_and_directories_after_it(
    storage: FilesystemStorage, events: list[str]
) -> None:
    await adopt(storage, "blobs/sha256/x", b"layer")
    first, events[:] = events[:], []
    await storage.create("blobs/sha256/y", b"config")

    assert first == [
        "sync spool", "sync /blobs", "sync /", "link x", "sync /blobs/sha256",
    ]  # fmt: skip
    assert events == ["sync spool", "link y", "sync /blobs/sha256"]


async def test_a_replacement_is_synced_before_it_is_renamed(
    storage: FilesystemStorage, events: list[str]
) -> None:
    await storage.write("top/x", b"record")

    assert events == ["sync spool", "sync /", "name", "rename x", "sync /top"]


async def test_the_loser_of_a_race_syncs_the_directory_too(
    storage: FilesystemStorage, events: list[str]
) -> None:
    await storage.create("top/x", b"first")
    events.clear()

    await storage.create("top/x", b"second")

    assert events[-1] == "sync /top"


async def test_a_removed_directory_is_created_again(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    await adopt(storage, KEY, b"layer")
    shutil.rmtree(tmp_path / "store" / "blobs")

    await adopt(storage, KEY, b"layer")

    assert await storage.read(KEY) == b"layer"


async def test_stale_spool_files_are_removed_and_young_ones_left(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    staging = tmp_path / "store" / ".staging"
    for name, age in (("spool-old", 4000), ("spool-young", 3000)):
        (staging / name).write_bytes(b"")
        os.utime(staging / name, (time.time() - age,) * 2)

    await storage.start()

    assert [path.name for path in staging.iterdir()] == ["spool-young"]


async def test_without_unnamed_files_named_ones_do(
    storage: FilesystemStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(staging: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(spool, "unnamed", refuse)

    await storage.start()

    with storage.spool() as file:
        assert [path.name[:6] for path in (tmp_path / "store/.staging").iterdir()] == ["spool-"]
        await storage.adopt(KEY, file)
    assert await storage.size(KEY) == 0
    assert list((tmp_path / "store/.staging").iterdir()) == []


async def test_a_directory_that_cannot_be_written_stops_the_start_with_advice(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(
            StorageUnavailable,
            match=r"cannot store files in .*/store \(Permission denied\): .*another directory",
        ):
            await FilesystemStorage(tmp_path / "store").start()
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o755)


async def test_a_file_in_the_directorys_place_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")

    with pytest.raises(StorageUnavailable, match="cannot store files in"):
        await FilesystemStorage(tmp_path / "store").start()


async def test_a_store_that_cannot_be_created_again_fails_its_check_without_its_path(
    storage: FilesystemStorage, tmp_path: Path
) -> None:
    await storage.check()
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_bytes(b"in the way")

    for attempt in (storage.check(), storage.write("builds/x", b"")):
        with pytest.raises(StorageUnavailable) as failure:
            await attempt

        assert str(tmp_path) not in failure.value.message
        assert len(failure.value.message) < 300
        assert isinstance(failure.value.__cause__, OSError)


async def test_foreign_files_are_not_listed(storage: FilesystemStorage, tmp_path: Path) -> None:
    """NFS gives an open file that was deleted such a name."""
    await storage.write("tags/x", b"")
    for name in (".nfs000000000001", "UPPER", "with space", "x~"):
        (tmp_path / "store" / "tags" / name).write_bytes(b"")

    assert await storage.keys("tags/") == await storage.keys("") == ["tags/x"]


async def test_an_object_deleted_while_it_is_adopted_is_stored_in_the_end(
    storage: FilesystemStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await adopt(storage, KEY, b"layer")
    size = storage._content.size

    def deleted_first(key: str) -> int:
        (tmp_path / "store" / key).unlink(missing_ok=True)
        return size(key)

    with monkeypatch.context() as patch:
        patch.setattr(storage._content, "size", deleted_first)
        await adopt(storage, KEY, b"layer")

    assert await storage.read(KEY) == b"layer"


async def test_a_file_that_the_server_may_not_read_is_stored_again() -> None:
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, 65534 if user == 0 else user, -1)
        try:
            if user == 0:
                os.seteuid(65534)
            storage = FilesystemStorage(Path(directory) / "store")
            await storage.start()
            for key, body in (
                (f"paths/{'a' * 64}", b"record"),
                (keys.blob(Digest.of(b"layer")), b"layer"),
            ):
                await storage.write(key, body)
                (Path(directory) / "store" / key).chmod(0)
                with pytest.raises(ObjectNotFound):
                    await storage.read(key)

                if key.startswith("blobs"):
                    await adopt(storage, key, body)
                else:
                    await storage.create(key, body)

                assert await storage.read(key) == body
        finally:
            os.seteuid(user)
