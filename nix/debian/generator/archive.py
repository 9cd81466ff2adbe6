"""One release for one architecture: the index, and the contents of packages."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from nix.debian.generator.apt import Apt
from nix.debian.generator.contents import Contents, scan
from nix.debian.generator.downloads import Downloads
from nix.debian.generator.lock import Deb
from nix.debian.generator.resolver import Index
from nix.debian.generator.storepath import store_name


@dataclass(frozen=True, slots=True)
class Archive:
    """`scans` is a directory of cached package contents, by the package's hash."""

    apt: Apt
    index: Index
    downloads: Downloads
    scans: Path

    def deb(self, package: str) -> Deb:
        fields = self.index[package]
        version, architecture = fields["Version"], fields["Architecture"]
        without_epoch = version.partition(":")[2] or version
        return Deb(
            package=package,
            version=version,
            architecture=architecture,
            file=store_name(f"{package}_{without_epoch}_{architecture}.deb"),
            sha256=fields["SHA256"],
            size=int(fields["Size"]),
        )

    def contents(self, debs: Iterable[Deb]) -> dict[str, Contents]:
        """Return the contents by package; download missing packages. Blocking."""
        everything = tuple(debs)
        self.downloads.fetch(self.apt, everything)
        self.scans.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            return dict(
                zip((d.package for d in everything), pool.map(self._scan, everything), strict=True)
            )

    def _scan(self, deb: Deb) -> Contents:
        cached = self.scans / f"{deb.sha256}.json"
        if not cached.exists():
            new = cached.with_suffix(".new")
            new.write_text(json.dumps(asdict(scan(self.downloads.path(deb)))))
            new.replace(cached)
        return Contents(**{k: tuple(v) for k, v in json.loads(cached.read_text()).items()})
