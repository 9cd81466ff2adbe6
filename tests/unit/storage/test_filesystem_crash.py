"""What a store holds after a process was killed, the disk was full or the power failed."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.oci import Digest
from app.storage import keys, spool
from app.storage.base import Storage
from app.storage.blobs import BlobStore
from app.storage.filesystem import FilesystemStorage
from tests.ownership import start_process

Mount = Callable[..., Path]
ROUNDS = 8


def start(root: Path, task: str, spool_name: str) -> subprocess.Popen[str]:
    return start_process(
        [sys.executable, Path(__file__).with_name("writer.py"), root, task, spool_name],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )


def is_whole(path: Path) -> bool:
    body = path.read_bytes()
    if path.parent.name == "sha256":
        return hashlib.sha256(body).hexdigest() == path.name
    size, _, text = body.partition(b"\n")
    return len(text) == int(size)


async def adopt(storage: Storage, body: bytes) -> None:
    with storage.spool() as file:
        file.write(body)
        await storage.adopt(keys.blob(Digest.of(body)), file)


async def contains(storage: Storage, digest: Digest) -> bool:
    return await storage.sizes([keys.blob(digest)]) != [None]


@pytest.mark.slow
@pytest.mark.parametrize("spool_name", ["unnamed", "named"])
async def test_a_killed_writer_leaves_only_whole_objects(tmp_path: Path, spool_name: str) -> None:
    for _ in range(ROUNDS // 2):
        writers = [start(tmp_path, "until killed", spool_name) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "storing\n"
            time.sleep(random.uniform(0, 0.1))
            writer.kill()
            writer.wait()

    objects = [path for path in tmp_path.glob("[!.]*/**/*") if path.is_file()]
    litter = list((tmp_path / ".staging").iterdir())
    assert len(objects) > 2 * ROUNDS
    assert [path for path in objects if not is_whole(path)] == []
    # A file without a name cannot stay behind; a named one waits to be swept.
    assert all(path.name.startswith(("spool-", "replacement-")) for path in litter)
    for path in litter:
        os.utime(path, (0, 0))
    await FilesystemStorage(tmp_path).start()
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("spool_name", ["unnamed", "named"])
def test_processes_that_race_agree_on_the_winners(tmp_path: Path, spool_name: str) -> None:
    writers = [start(tmp_path, "race", spool_name) for _ in range(4)]

    seen = [json.loads(writer.communicate()[0]) for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert all(answers == seen[0] for answers in seen)
    stored = [(tmp_path / f"records/{number}").read_text() for number in range(40)]
    assert stored == seen[0]
    last = (tmp_path / "records/last").read_bytes()
    assert last in {f"{writer.pid} was last".encode() * 3000 for writer in writers}
    layers = list((tmp_path / "blobs/sha256").iterdir())
    assert len(layers) == 40
    assert all(is_whole(layer) for layer in layers)
    assert list((tmp_path / ".staging").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("new_spool", [spool.unnamed, spool.named])
async def test_a_full_disk_is_reported_and_leaves_no_partial_object(
    mount: Mount, new_spool: spool.NewSpool
) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    storage = FilesystemStorage(disk / "store")
    await storage.start()
    storage._publisher._new_spool = new_spool
    blobs = BlobStore(storage)
    free = shutil.disk_usage(disk).free
    kept = await blobs.write_blob(random.randbytes(free - (128 << 10)))

    await storage.check()
    await storage.write("records/last", random.randbytes(100 << 10))
    with pytest.raises(StorageUnavailable, match="storage is full"):
        await storage.check()
    await storage.delete("records/last")

    for size in (200 << 10, 5 << 20):  # still in a buffer when the file is adopted, or not
        body = random.randbytes(size)
        for store in (blobs.write_blob, blobs.write_manifest, partial(adopt, storage)):
            with pytest.raises(StorageUnavailable, match="storage is full"):
                await store(body)
        with pytest.raises(StorageUnavailable, match="storage is full"):
            await storage.write("records/x", body)

    assert await storage.keys("") == [f"blobs/sha256/{kept.hex}"]
    await storage.delete(f"blobs/sha256/{kept.hex}")
    assert shutil.disk_usage(disk).free > free - (64 << 10)
    assert await contains(storage, await blobs.write_blob(random.randbytes(1 << 20)))


async def test_a_server_starts_on_a_full_disk_and_finds_stored_objects(mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    storage = FilesystemStorage(disk / "store")
    await storage.start()
    stored = await BlobStore(storage).write_blob(b"stored")
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))

    restarted = FilesystemStorage(disk / "store")
    await restarted.start()

    assert await contains(restarted, stored)
    with pytest.raises(StorageUnavailable, match="storage is full"):
        await restarted.check()
    (disk / "filler").unlink()
    await restarted.check()


@pytest.mark.slow
async def test_stored_objects_survive_a_power_cut(mount: Mount, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("UNTESTED, needs root: a disk image of its own")
    image, cut = tmp_path / "image", tmp_path / "cut"
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    disk = mount("-o", "loop", str(image))
    storage = FilesystemStorage(disk / "deep" / "store")
    await storage.start()
    layer = random.randbytes(1 << 20)

    await adopt(storage, layer)
    await storage.create("builds/x", b"created")
    await storage.write("channels/x", b"first")
    # The control: renamed into place, but not synced.  The next object's sync writes its name.
    (disk / "deep" / "control.new").write_bytes(layer)
    (disk / "deep" / "control.new").rename(disk / "deep" / "control")
    await storage.write("channels/x", b"second")
    # What the machine has not written to its disk by now is lost.
    shutil.copyfile(image, cut)

    after = FilesystemStorage(mount("-o", "loop", str(cut)) / "deep" / "store")
    await after.start()
    with after.open(f"blobs/sha256/{Digest.of(layer).hex}") as stored:
        assert stored.read() == layer
    assert await after.read("builds/x") == b"created"
    assert await after.read("channels/x") == b"second"
    assert (after._root.parent / "control").stat().st_size == 0
