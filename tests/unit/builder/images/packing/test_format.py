"""The bytes of the tar stream, written down: under one key they never change."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.builder.images.contents.file_tree import RegularFile, Tree
from app.builder.images.contents.subtree import make_subtree
from app.builder.images.packing import codec
from app.builder.images.packing.entry import Directory, File, Symlink
from app.builder.images.packing.packer import LayerPacker
from app.storage.existence_cache import BlobExistenceCache
from app.storage.memory import MemoryStorage
from app.system.workers import Workers
from tests.unit.builder.images.packing.trees import ODDITIES, local_store, plant_path, store_path

# Diff IDs by the format's number.
STORE_PATH: Mapping[int, str] = {
    1: "3cc13ff4bf81fba6789ea91470bbd8e7b3d7c98fc7b2ece036deb865fa9e63b3",
    2: "3cc13ff4bf81fba6789ea91470bbd8e7b3d7c98fc7b2ece036deb865fa9e63b3",
}
LINKS: Mapping[int, str] = {
    1: "d0da71bb92654429170870aff4ea4233304cb71d494ce6baf0d1cbb0e100ca44",
    2: "d0da71bb92654429170870aff4ea4233304cb71d494ce6baf0d1cbb0e100ca44",
}
RAISE = (
    "the tar stream has changed, and layers that were packed keep their keys: raise _FORMAT in"
    " app/builder/images/packing/codec.py, and write the new diff ID down here beside the old one"
)
LINKS_OF_A_PACKAGE = Tree({b"file": RegularFile(), b"n" * 70: Tree({b"n" * 70: RegularFile()})})
ENTRIES = (
    Directory(b"."),
    Directory(b"tmp", mode=0o1777),
    Directory(b"home/nonroot", mode=0o700, uid=65532, gid=65532),
    File(b"etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
    Symlink(b"bin/short", b"/nix/store/short"),
    Symlink(b"bin/of-100", b"t" * 100),
    Symlink(b"bin/by-pax", b"t" * 101),
    Symlink(b"bin/by-pax-too", "/nix/store/größe".encode()),
    Symlink(b"d" * 120 + b"/" + b"n" * 100, b"target"),
    Symlink(b"n" * 101, b"t" * 101),
    make_subtree(b"share", LINKS_OF_A_PACKAGE, b"/nix/store/" + b"s" * 60).archived,
)


@pytest.mark.parametrize("with_codec", ["gzip", "zlib", "zstd"])
async def test_the_bytes_of_a_format_never_change(tmp_path: Path, with_codec: str) -> None:
    path = plant_path(tmp_path, store_path(1, "odd"), {b"odd": ODDITIES, b"program": b"#!"})
    (tmp_path / path.base / "program").chmod(0o555)
    storage = MemoryStorage()
    packer = LayerPacker(
        storage=storage,
        existence=BlobExistenceCache(storage),
        workers=Workers(2),
        codecs=codec.find_all(with_codec),
        store=local_store(tmp_path),
    )

    store_layer = await packer.layer([path])
    links_layer = await packer.contents_layer(ENTRIES)
    await packer.close()

    assert store_layer.diff_id.hex == STORE_PATH.get(codec._FORMAT), RAISE
    assert links_layer.diff_id.hex == LINKS.get(codec._FORMAT), RAISE


@pytest.mark.slow
def test_the_format_is_part_of_every_codecs_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("gzip", "zlib", "zstd")
    identities = [codec.find(name).identity for name in names]

    monkeypatch.setattr(codec, "_FORMAT", codec._FORMAT + 1)

    assert not {codec.find(name).identity for name in names} & set(identities)
