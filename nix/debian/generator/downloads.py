"""Downloaded packages, kept in the cache."""

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.apt import Apt
from nix.debian.generator.lock import Deb
from nix.debian.generator.progress import Progress, report

BATCH = 25


class ContentDiffers(Exception):
    """The archive sent bytes with another hash than in the lock or its own index."""


@dataclass(frozen=True, slots=True)
class Downloads:
    """Files in one directory, named by the hash of their content."""

    directory: Path

    def path(self, deb: Deb) -> Path:
        return self.directory / f"{deb.sha256}.deb"

    def missing(self, debs: Iterable[Deb]) -> tuple[Deb, ...]:
        return tuple(deb for deb in debs if not self.path(deb).exists())

    def fetch(self, apt: Apt, debs: Iterable[Deb]) -> None:
        """Download the missing packages. Blocking. Raises AptFailed, ContentDiffers."""
        wanted = self.missing(debs)
        if not wanted:
            return
        megabytes = sum(deb.size for deb in wanted) / 1e6
        report(f"downloading {len(wanted)} packages, {megabytes:.0f} MB")
        progress = Progress("downloaded", len(wanted))
        arriving = self.directory / f"arriving-{apt.architecture}"
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            shutil.rmtree(arriving, ignore_errors=True)
            arriving.mkdir(parents=True)
            apt.download((f"{deb.package}={deb.version}" for deb in batch), arriving)
            self._take(arriving, batch)
            progress.step(start + len(batch), batch[-1].package)
        shutil.rmtree(arriving)

    def _take(self, arriving: Path, batch: Iterable[Deb]) -> None:
        by_hash = {}
        for path in arriving.iterdir():
            with path.open("rb") as file:
                by_hash[hashlib.file_digest(file, "sha256").hexdigest()] = path
        for deb in batch:
            if deb.sha256 not in by_hash:
                raise ContentDiffers(
                    f"{deb.package} {deb.version}: the bytes do not have the expected hash"
                )
            by_hash[deb.sha256].replace(self.path(deb))
