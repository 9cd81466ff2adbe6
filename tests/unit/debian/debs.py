"""Debian packages made by hand."""

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
}


@dataclass(frozen=True, slots=True)
class Package:
    """`files` are by Debian path; a value may be bytes, or text for a link's target.

    Files below a bin directory are executable, and so is what `executable` names.
    """

    name: str = "sample"
    version: str = "1.0-1"
    architecture: str = "amd64"
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    hard_links: Mapping[str, str] = field(default_factory=dict)
    postinst: str = ""
    executable: frozenset[str] = frozenset()

    @property
    def control(self) -> str:
        return (
            f"Package: {self.name}\nVersion: {self.version}\n"
            f"Architecture: {self.architecture}\nMaintainer: sample\nDescription: {self.name} sample\n"
            + "".join(f"{name}: {value}\n" for name, value in self.fields.items())
        )

    def write(self, path: Path, compression: str = ".xz") -> Path:
        control = {"control": self.control.encode()}
        if self.postinst:
            control["postinst"] = self.postinst.encode()
        members = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": gzip.compress(tarball(control)),
            f"data.tar{compression}": COMPRESS[compression](
                tarball(self.files, self.hard_links, self.executable)
            ),
        }
        path.write_bytes(archive(members))
        return path

    def index(self, path: Path) -> str:
        """Its paragraph in the index of an archive that holds the file."""
        content = path.read_bytes()
        return (
            f"{self.control}Filename: ./{path.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        )


def archive(members: Mapping[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def tarball(
    files: Mapping[str, bytes | str],
    hard_links: Mapping[str, str] | None = None,
    executable: frozenset[str] = frozenset(),
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(f"./{path}")
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            elif path.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
            else:
                member.size = len(content)
                member.mode = 0o755 if "bin/" in path or path in executable else 0o644
                tar.addfile(member, io.BytesIO(content))
        for path, target in (hard_links or {}).items():
            member = tarfile.TarInfo(f"./{path}")
            member.type, member.linkname = tarfile.LNKTYPE, f"./{target}"
            tar.addfile(member)
    return buffer.getvalue()
