"""The lock: the packages of a set, with their hashes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nix.debian.generator.release import Release
from nix.debian.generator.storepath import flat_path, recursive_path

FORMAT = 1


class LockUnreadable(Exception):
    """The file is not a lock of the supported format."""


@dataclass(frozen=True, slots=True)
class Deb:
    """One package of the archive; `file` is its name in the Nix store."""

    package: str
    version: str
    architecture: str
    file: str
    sha256: str
    size: int

    @property
    def store_path(self) -> str:
        return flat_path(self.sha256, self.file)


@dataclass(frozen=True, slots=True)
class LockedUnit:
    version: str
    debs: tuple[str, ...]
    dependencies: tuple[str, ...]
    description: str
    recipe: Mapping[str, Any]
    pname: str | None = None
    outputs: tuple[str, ...] | None = None
    mainProgram: str | None = None  # noqa: N815  nixpkgs spells it so


@dataclass(frozen=True, slots=True)
class Runtime:
    """The programs that unpack packages: a tree made from `debs`."""

    name: str
    narHash: str  # noqa: N815  Nix spells it so
    debs: tuple[str, ...]

    @property
    def store_path(self) -> str:
        return recursive_path(self.narHash, self.name)


@dataclass(frozen=True, slots=True)
class BuildMachine:
    system: str
    architecture: str
    loader: str
    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Lock:
    """All units of a set.

    `debs` is keyed by package name, and by `name:architecture` for the building machine.
    `wanted` is the digest of the lists of wanted packages when the lock was made.
    """

    release: Release
    system: str
    architecture: str
    triplet: str
    machine: int
    loader: str
    build: BuildMachine
    wanted: str
    attributes: Mapping[str, str]
    cut: tuple[tuple[str, str], ...]
    debs: Mapping[str, Deb]
    units: Mapping[str, LockedUnit]

    def needed_debs(self) -> dict[str, Deb]:
        """Return the packages that a build needs, by store path."""
        return {deb.store_path: deb for deb in self.debs.values()}


def without_unset(table: Mapping[str, object]) -> dict[str, object]:
    """Return the table without unset fields, which Nix must read as absent."""
    return {
        key: without_unset(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def write_lock(lock: Lock, path: Path) -> None:
    """Write the lock sorted and indented, so that differences between locks are readable."""
    document = without_unset({"format": FORMAT, **asdict(lock)})
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    new.replace(path)


def read_lock(path: Path) -> Lock:
    """Read a lock. Raises LockUnreadable."""
    document = json.loads(path.read_text())
    if document.pop("format", None) != FORMAT:
        raise LockUnreadable(f"{path}: not a lock of format {FORMAT}; make a new one")
    build = document["build"]
    return Lock(
        **{
            **document,
            "release": Release(**document["release"]),
            "build": BuildMachine(
                **{**build, "runtime": Runtime(**with_tuples(build["runtime"], ("debs",)))}
            ),
            "cut": tuple((source, target) for source, target in document["cut"]),
            "debs": {key: Deb(**deb) for key, deb in document["debs"].items()},
            "units": {
                name: LockedUnit(**with_tuples(unit, ("debs", "dependencies", "outputs")))
                for name, unit in document["units"].items()
            },
        }
    )


def with_tuples(table: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {**table, **{key: tuple(table[key]) for key in keys if key in table}}
