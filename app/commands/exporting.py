"""Write an image to a file, a directory or a program; the bytes are those that are served."""

import asyncio
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from app.commands.layout import path_of
from app.commands.output_files import CannotWrite, is_unfinished, writing
from app.oci import Descriptor, Digest
from app.settings.environment import process_environment
from app.system import process
from app.system.blocking import blocking
from app.system.locks import directory_lock
from app.text.sanitize import one_line

# Every image layout has this file (image-spec, image-layout.md).
_MARK = "oci-layout"
_FILE_MODE = 0o644
_COPY = 1 << 20
_LOAD_SECONDS = 3600
_REASON_LIMIT = 500

OpenBlob = Callable[[Digest], BinaryIO]


@dataclass(frozen=True, slots=True)
class Exported:
    """An image as the files of an OCI layout.

    ``documents`` are whole files by path; ``blobs`` are read from the storage.
    """

    documents: dict[str, bytes]
    blobs: tuple[Descriptor, ...]


@blocking
def write_tar(exported: Exported, open_blob: OpenBlob, file: BinaryIO) -> None:
    """Write a tar archive, which is the same for every run."""
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for name, body in exported.documents.items():
            archive.addfile(_member(name, len(body)), BytesIO(body))
        for blob in exported.blobs:
            with open_blob(blob.digest) as content:
                archive.addfile(_member(path_of(blob), blob.size), content)


@blocking
def write_tar_file(exported: Exported, open_blob: OpenBlob, path: Path) -> None:
    """Write to a file; ``-`` is standard output.  Raises CannotWrite, OSError."""
    if str(path) == "-":
        write_tar(exported, open_blob, sys.stdout.buffer)
        return
    with writing(path) as file:
        write_tar(exported, open_blob, file)


@blocking
def write_directory(exported: Exported, open_blob: OpenBlob, directory: Path) -> None:
    """Write an image layout; blobs that are there with their size are left.  Raises CannotWrite.

    The index is written last: until then the directory holds its former image, or none.  The mark
    of a layout is written first, so that an interrupted export can be continued.
    """
    _require_layout(directory)
    _make(directory)
    _write(directory, _MARK, exported.documents[_MARK])
    _make(directory / "blobs" / "sha256")
    for blob in exported.blobs:
        path = directory / path_of(blob)
        if path.is_file() and path.stat().st_size == blob.size:
            continue
        with writing(path) as file, open_blob(blob.digest) as content:
            shutil.copyfileobj(content, file, _COPY)
    # The documents of a directory belong to one image, also if two exports end together.
    with directory_lock(directory):
        for name, body in sorted(exported.documents.items(), key=_is_index):
            _write(directory, name, body)


@blocking
def _require_layout(directory: Path) -> None:
    """Raise CannotWrite for a directory with other files than those of an image layout."""
    with suppress(FileNotFoundError, NotADirectoryError):
        # Listed before the mark is looked for: another process may begin an export.
        files = [file for file in directory.iterdir() if not is_unfinished(file, _MARK)]
        if files and not (directory / _MARK).is_file():
            raise CannotWrite(
                f"{directory} has other files; give a new directory or an image layout"
            )


@blocking
def _write(directory: Path, name: str, body: bytes) -> None:
    with writing(directory / name) as file:
        file.write(body)


@blocking
def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot make {directory}: {error.strerror}") from error


async def load_into_docker(exported: Exported, open_blob: OpenBlob) -> None:
    """Have the program ``docker`` load the image.  Raises CannotWrite."""
    with tempfile.TemporaryDirectory(prefix="nixery-") as directory:
        path = Path(directory) / "image.tar"
        await asyncio.to_thread(write_tar_file, exported, open_blob, path)
        command = ["docker", "load", "--quiet", "--input", str(path)]
        limits = process.Limits(seconds=_LOAD_SECONDS)
        try:
            ended = await process.run(command, environment=process_environment(), limits=limits)
        except (process.ProgramNotStarted, process.LimitExceeded) as error:
            raise CannotWrite(f"docker load: {error}") from None
        if ended.code:
            reason = one_line(ended.stderr.decode(errors="replace"), _REASON_LIMIT)
            raise CannotWrite(f"docker load ended with status {ended.code}: {reason}")


def _is_index(document: tuple[str, bytes]) -> bool:
    return document[0] == "index.json"


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, _FILE_MODE, 0
    return member
