"""What happens to servers and their shared storage in the course of years, chosen by a seed."""

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.server import Server

KINDS = (
    "attributes", "blobs", "builds", "closures", "layers", "listings", "manifests", "tags",
    "paths", "revisions",
)  # fmt: skip
_BLOCK = bytes(1 << 16)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


class Disturbances:
    """Each gives the servers that cannot respond while its context is open."""

    def __init__(
        self, chosen: random.Random, servers: list[Server], disk: Path, storage: Path
    ) -> None:
        self._random = chosen
        self._servers = servers
        self._disk = disk
        self._storage = storage

    @property
    def all(self) -> dict[str, Callable[[], Iterator[list[Server]]]]:
        return {
            "kill": self._kill,
            "pause": self._pause,
            "delete": self._delete,
            "delete all of a kind": self._delete_kind,
            "garbage": self._garbage,
            "another digit in records": self._another_digit,
            "no staging directory": self._delete_staging,
            "garbage of the same size": self._garbage_verified,
            "full disk": self._full_disk,
            "full disk and restart": self._full_disk_and_kill,
        }

    def _kill(self) -> Iterator[list[Server]]:
        server = self._random.choice(self._servers)
        yield []
        server.kill()
        server.start()

    def _pause(self) -> Iterator[list[Server]]:
        server = self._random.choice(self._servers)
        server.pause()
        try:
            yield [server]
        finally:
            server.resume()

    def _delete(self) -> Iterator[list[Server]]:
        for file in self._chosen(0.3):
            file.unlink(missing_ok=True)
        yield []

    def _delete_kind(self) -> Iterator[list[Server]]:
        shutil.rmtree(self._storage / self._random.choice(KINDS), ignore_errors=True)
        yield []

    def _garbage(self) -> Iterator[list[Server]]:
        """Of another size: what a server is to notice by itself."""
        for file in self._chosen(0.2):
            body = file.read_bytes()
            cut = body[: self._random.randrange(len(body) or 1)]
            replace(file, self._random.choice([cut, b"", self._random.randbytes(77), b"{}", b"[]"]))
        yield []

    def _another_digit(self) -> Iterator[list[Server]]:
        """What is still well-formed, and wrong."""
        for kind in KINDS:
            for file in self._chosen(0.2, kind) if kind not in {"blobs", "manifests"} else ():
                body = bytearray(file.read_bytes())
                digits = [place for place, byte in enumerate(body) if chr(byte).isdigit()]
                if digits:
                    place = self._random.choice(digits)
                    body[place] = ord("1") if body[place] != ord("1") else ord("2")
                    replace(file, bytes(body))
        yield []

    def _delete_staging(self) -> Iterator[list[Server]]:
        shutil.rmtree(self._storage / "builds", ignore_errors=True)
        shutil.rmtree(self._storage / ".staging", ignore_errors=True)
        yield []

    def _garbage_verified(self) -> Iterator[list[Server]]:
        """A pull does not read all blobs: `nixery verify` does."""
        for file in self._chosen(0.1, "blobs"):
            body = bytearray(file.read_bytes() or b"empty")
            body[self._random.randrange(len(body))] ^= 1 << self._random.randrange(8)
            replace(file, bytes(body))
        self._servers[0].command("verify", "--delete")
        yield []

    def _full_disk(self) -> Iterator[list[Server]]:
        shutil.rmtree(self._storage / "builds", ignore_errors=True)
        filler = self._disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(_BLOCK)
        try:
            yield []
        finally:
            filler.unlink()

    def _full_disk_and_kill(self) -> Iterator[list[Server]]:
        server = self._random.choice(self._servers)
        disk = self._full_disk()
        yield next(disk)
        server.kill()
        server.start()
        for _ in disk:
            pass

    def _chosen(self, share: float, kind: str = "[!.]*") -> list[Path]:
        """Sorted, or the order of a directory would choose; without those in the staging directory.

        A server moves those away, also when no client waits: it writes recent images later.
        """
        files = sorted(file for file in self._storage.glob(f"{kind}/**/*") if file.is_file())
        return self._random.sample(files, int(len(files) * share))


def replace(file: Path, body: bytes) -> None:
    """A new file, as the old one may be open or linked somewhere."""
    file.unlink(missing_ok=True)
    file.write_bytes(body)
