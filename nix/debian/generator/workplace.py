"""The machine that the generator runs on, its cache and its Nix store."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nix.debian.generator.nixstore import NixStore
from nix.debian.generator.release import ARCHITECTURES, Architecture, Release, parse_release
from nix.debian.generator.sources import configured


@dataclass(frozen=True, slots=True)
class Host:
    """This machine; `sources` are the paragraphs of apt's configuration."""

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
    """Read release, architecture and apt sources. Raises NotDebian."""
    return Host(
        parse_release((root / "etc/os-release").read_text()),
        ARCHITECTURES[f"{platform.machine()}-linux"],
        configured(root / "etc/apt"),
    )
