"""Images as files, and what stays when writing them fails."""

import io
import json
import os
import stat
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from app.builder.images.image import BuiltImage, BuiltIndex, Child
from app.commands import layout
from app.commands.exporting import Exported, write_directory, write_tar_file
from app.commands.output_files import CannotWrite, writing
from app.errors import BlobUnknown
from app.oci import Descriptor, Digest, MediaType
from app.reference import ImageReference

LAYER, CONFIG = b"layer", b"config"
ROUNDS = 100
REFERENCE = ImageReference.parse("shell/git", "v1")


def descriptor(kind: MediaType, body: bytes) -> Descriptor:
    return Descriptor(kind, Digest.of(body), len(body))


BLOBS = {Digest.of(body): body for body in (LAYER, CONFIG)}
MANIFEST = {
    "config": {"digest": str(Digest.of(CONFIG))},
    "layers": [{"digest": str(Digest.of(LAYER))}],
}
IMAGE = BuiltImage(
    manifest=descriptor(MediaType.OCI_MANIFEST, b"manifest"),
    docker_manifest=None,
    blobs=frozenset(
        {
            descriptor(MediaType.OCI_LAYER_GZIP, LAYER),
            descriptor(MediaType.OCI_CONFIG, CONFIG),
        }
    ),
)
OTHER = BuiltImage(descriptor(MediaType.OCI_MANIFEST, b"other"), None, IMAGE.blobs)
INDEX = BuiltIndex(
    index=descriptor(MediaType.OCI_INDEX, b"index"),
    docker_list=None,
    children=(Child("amd64", IMAGE), Child("arm64", OTHER)),
)


def open_blob(digest: Digest) -> BinaryIO:
    return io.BytesIO(BLOBS[digest])


def exported() -> Exported:
    documents = layout.documents_of(IMAGE, REFERENCE, MANIFEST)
    documents[layout.path_of(IMAGE.manifest)] = b"manifest"
    return Exported(documents, layout.blobs_of(IMAGE))


def test_an_archive_has_the_layout_and_dockers_manifest(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"

    write_tar_file(exported(), open_blob, path)

    with tarfile.open(path) as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    [entry] = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == str(IMAGE.manifest.digest)
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "v1"
    [docker] = json.loads(files["manifest.json"])
    assert files[docker["Config"]] == CONFIG
    assert [files[name] for name in docker["Layers"]] == [LAYER]
    assert docker["RepoTags"] == ["shell/git:v1"]
    assert files[layout.path_of(IMAGE.manifest)] == b"manifest"
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_a_failed_archive_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(b"former")

    def missing(digest: Digest) -> BinaryIO:
        raise BlobUnknown(f"no {digest}")

    with pytest.raises(BlobUnknown):
        write_tar_file(exported(), missing, path)

    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["link", "device", "pipe"])
def test_an_archive_does_not_replace_what_is_not_a_file(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "out", tmp_path / "target"
    reader = threading.Thread(target=lambda: target.write_bytes(path.read_bytes()))
    if kind == "link":
        path.symlink_to(target)
    elif kind == "device":
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        os.mkfifo(path)
        reader.start()
    before = path.lstat().st_mode

    write_tar_file(exported(), open_blob, path)

    assert path.lstat().st_mode == before
    if kind == "pipe":
        reader.join()
    if kind != "device":
        assert tarfile.is_tarfile(target)


def test_a_full_disk_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.symlink_to("/dev/full")
    layout = tmp_path / "file"
    layout.write_bytes(b"")

    with pytest.raises(CannotWrite, match=f"cannot write {path}: No space left on device"):
        write_tar_file(exported(), open_blob, path)
    with pytest.raises(CannotWrite, match=f"cannot write {tmp_path}/no/image.tar: No such file"):
        write_tar_file(exported(), open_blob, tmp_path / "no" / "image.tar")
    with pytest.raises(CannotWrite, match=r"cannot make .*: Not a directory"):
        write_directory(exported(), open_blob, layout / "layout")


def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("draft")

    with pytest.raises(CannotWrite, match="has other files"):
        write_directory(exported(), open_blob, tmp_path)

    assert [one.name for one in tmp_path.iterdir()] == ["thesis.tex"]


def test_blobs_that_a_layout_has_are_not_read_again(tmp_path: Path) -> None:
    write_directory(exported(), open_blob, tmp_path)
    (tmp_path / layout.path_of(descriptor(MediaType.OCI_CONFIG, CONFIG))).write_bytes(b"cut")
    read: list[Digest] = []

    def noted(digest: Digest) -> BinaryIO:
        read.append(digest)
        return open_blob(digest)

    write_directory(exported(), noted, tmp_path)

    assert read == [Digest.of(CONFIG)]


def test_an_interrupted_export_is_continued(tmp_path: Path) -> None:
    def interrupted(digest: Digest) -> BinaryIO:
        if digest == Digest.of(CONFIG):
            raise KeyboardInterrupt
        return open_blob(digest)

    with pytest.raises(KeyboardInterrupt):
        write_directory(exported(), interrupted, tmp_path)
    assert not (tmp_path / "index.json").exists()

    write_directory(exported(), open_blob, tmp_path)

    assert (tmp_path / layout.path_of(IMAGE.manifest)).read_bytes() == b"manifest"


def test_an_export_killed_at_its_first_file_is_continued(tmp_path: Path) -> None:
    (tmp_path / ".oci-layout.0123456789abcdef").write_text("{")

    write_directory(exported(), open_blob, tmp_path)

    assert (tmp_path / "index.json").exists()


def test_two_exports_into_one_new_directory_succeed(tmp_path: Path) -> None:
    def with_another(digest: Digest) -> BinaryIO:
        write_directory(exported(), open_blob, tmp_path)
        return open_blob(digest)

    write_directory(exported(), with_another, tmp_path)

    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"blobs", "index.json", "manifest.json", "oci-layout"}


def test_two_writers_of_one_file_each_write_it_whole(tmp_path: Path) -> None:
    """Processes in two containers often have the same number."""
    path = tmp_path / "image.tar"

    with writing(path) as first:
        first.write(b"first")
        with writing(path) as second:
            second.write(b"2")
        assert path.read_bytes() == b"2"

    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_the_documents_of_a_layout_belong_to_one_image(tmp_path: Path) -> None:
    images = [
        replace(
            one, documents=layout.documents_of(IMAGE, ImageReference.parse(name, "v1"), MANIFEST)
        )
        for one, name in ((exported(), "shell"), (exported(), "git"))
    ]
    together = threading.Barrier(2)

    def export(image: Exported) -> None:
        together.wait()
        write_directory(image, open_blob, tmp_path)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            list(pool.map(export, images))

            [entry] = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
            [docker] = json.loads((tmp_path / "manifest.json").read_bytes())
            assert docker["RepoTags"] == [entry["annotations"]["io.containerd.image.name"]]


def test_an_index_is_exported_with_all_children(tmp_path: Path) -> None:
    assert layout.top_of(INDEX) == INDEX.index
    assert layout.manifests_of(INDEX) == (IMAGE.manifest, OTHER.manifest, INDEX.index)
    assert len(layout.blobs_of(INDEX)) == 2
    assert layout.image_for(INDEX, "arm64") is OTHER
    assert layout.image_for(INDEX, "riscv64") is IMAGE


def test_layers_in_zstd_are_exported_with_the_index_that_has_their_manifest() -> None:
    zstd = descriptor(MediaType.OCI_LAYER_ZSTD, b"zstd layer")
    manifest = descriptor(MediaType.OCI_MANIFEST, b"zstd")
    both = replace(IMAGE, zstd_manifest=manifest, blobs=IMAGE.blobs | {zstd})
    index = replace(INDEX, children=(Child("amd64", both),))

    assert layout.manifests_of(both) == (IMAGE.manifest,)
    assert layout.blobs_of(both) == layout.blobs_of(IMAGE)
    assert layout.manifests_of(index) == (IMAGE.manifest, manifest, INDEX.index)
    assert set(layout.blobs_of(index)) == both.blobs
