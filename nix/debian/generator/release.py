"""Distributions and architectures, with their names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


class NotDebian(Exception):
    """The machine has neither Debian nor a derived distribution."""


@dataclass(frozen=True, slots=True)
class Release:
    """A distribution's release: `debian`, `bookworm`."""

    id: str
    codename: str

    @property
    def components(self) -> str:
        """The components of the archive that are used."""
        return "main" if self.id == "debian" else "main universe"

    def __str__(self) -> str:
        return f"{self.id} {self.codename}"


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture, by its names in Debian, Nix, GNU, ELF and the C library."""

    debian: str
    system: str
    triplet: str
    machine: int
    loader: str


ARCHITECTURES: Mapping[str, Architecture] = {
    architecture.system: architecture
    for architecture in (
        Architecture("amd64", "x86_64-linux", "x86_64-linux-gnu", 62, "ld-linux-x86-64.so.2"),
        Architecture("arm64", "aarch64-linux", "aarch64-linux-gnu", 183, "ld-linux-aarch64.so.1"),
    )
}


def parse_release(os_release: str) -> Release:
    """Parse an os-release file. Raises NotDebian."""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', os_release, re.MULTILINE))
    if "VERSION_CODENAME" not in fields or not {"debian", "ubuntu"} & {
        fields.get("ID", ""),
        *fields.get("ID_LIKE", "").split(),
    }:
        raise NotDebian(
            f"this machine runs {fields.get('PRETTY_NAME', 'an unknown system')}; the package set"
            " is made of Debian's or Ubuntu's packages, by their apt"
        )
    return Release(fields["ID"], fields["VERSION_CODENAME"])
