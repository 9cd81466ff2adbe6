"""Where the generator works: this machine, its cache, its Nix store."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.nixstore import NixStore
from nix.debian.generator.release import ARCHITECTURES, Architecture, Release, parse_release
from nix.debian.generator.sources import configured


@dataclass(frozen=True, slots=True)
class Host:
    """`sources` are the paragraphs apt is configured with."""

    release: Release
    architecture: Architecture
    sources: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Workplace:
    host: Host
    cache: Path
    store: NixStore

    @property
    def downloads(self) -> Path:
        return self.cache / "debs"


def read_host(root: Path = Path("/")) -> Host:
    """Raises NotDebian."""
    return Host(
        parse_release((root / "etc/os-release").read_text()),
        ARCHITECTURES[f"{platform.machine()}-linux"],
        configured(root / "etc/apt"),
    )
