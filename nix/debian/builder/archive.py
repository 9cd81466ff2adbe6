"""Reading Debian packages: an ar archive holding two compressed tarballs."""

import gzip
import io
import lzma
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60


class NotAPackage(Exception):
    """The file is not a Debian package this builder can read."""


class Slice(io.RawIOBase):
    """A window onto the next `size` bytes of an open file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed asks for the private WriteableBuffer
        chunk = self._file.read(min(len(buffer), self._left))
        self._left -= len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


def members(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """Name and size of each ar member; the file is at the member's first byte at each step."""
    if file.read(len(AR_MAGIC)) != AR_MAGIC:
        raise NotAPackage("not an ar archive")
    while len(header := file.read(AR_HEADER)) == AR_HEADER:
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        start = file.tell()
        yield name, size
        file.seek(start + size + size % 2)


@contextmanager
def tarball(package: Path, which: str, *, zstd: tuple[str, ...]) -> Iterator[tarfile.TarFile]:
    """Opens `control` or `data` of a package for reading once, front to back.

    `zstd` is the command that decompresses zstd: Python has no such module before 3.14.
    Raises NotAPackage.
    """
    with package.open("rb") as file:
        for name, size in members(file):
            if name.startswith(f"{which}.tar"):
                compression = name.removeprefix(f"{which}.tar")
                raw = cast("IO[bytes]", io.BufferedReader(Slice(file, size), 1 << 20))
                with decompressed(raw, compression, zstd) as stream:
                    yield tarfile.open(fileobj=stream, mode="r|", errorlevel=0)  # noqa: SIM115  closed with its stream
                return
    raise NotAPackage(f"{package.name}: no {which} member")


@contextmanager
def decompressed(raw: IO[bytes], compression: str, zstd: tuple[str, ...]) -> Iterator[IO[bytes]]:
    match compression:
        case "":
            yield raw
        case ".xz" | ".lzma":
            with lzma.open(raw) as stream:
                yield stream
        case ".gz":
            with gzip.open(raw) as stream:
                yield cast("IO[bytes]", stream)
        case ".zst":
            done = subprocess.run(
                [*zstd, "-dcq"], input=raw.read(), check=True, capture_output=True
            )
            yield io.BytesIO(done.stdout)
        case _:
            raise NotAPackage(f"compression {compression} is not supported")


ALTERNATIVE = re.compile(r"--(?:install|slave)\s+(/\S+)\s+[^\s$]+\s+(/\S+)")


def alternatives(script: str) -> Iterator[tuple[str, str]]:
    """The links (link, target) a maintainer script tells update-alternatives to make.

    Only those written out literally; a path put together from variables is passed over.
    """
    for found in ALTERNATIVE.finditer(script.replace("\\\n", " ")):
        link, target = found[1].strip("\"'"), found[2].strip("\"'")
        if "$" not in link + target:
            yield link, target


def post_install_script(control: tarfile.TarFile) -> str:
    """The package's postinst, or nothing."""
    for member in control:
        if member.name.removeprefix("./") == "postinst":
            return cast("IO[bytes]", control.extractfile(member)).read().decode(errors="replace")
    return ""
