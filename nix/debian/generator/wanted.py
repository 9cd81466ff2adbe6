"""The wanted contents of the set, from wanted/*.toml."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nix.debian.generator.release import Architecture

WANTED = Path(__file__).parent.parent / "wanted"
RECIPE_KEYS = ("adjust", "dlopen", "env", "links", "only", "path", "redirect", "unresolved", "wrap")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Unit:
    """One store path: one Debian package, or several merged; units.toml explains the fields.

    If `dependencies` is None, the packages' own fields count. A deb ending in `?` may be missing.
    """

    name: str
    debs: tuple[str, ...]
    dependencies: tuple[str, ...] | None
    pname: str | None
    bare: bool
    outputs: tuple[str, ...]
    recipe: Mapping[str, Any]

    def mentioned(self) -> frozenset[str]:
        """Return the units that the recipe names as `@unit@`."""
        texts = (
            text
            for key in ("env", "links", "redirect")
            for text in self.recipe.get(key, {}).values()
        )
        return frozenset(unit for text in texts for unit in re.findall(r"@([\w.+-]+)@", text)) - {
            "out"
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for reading dependencies; resolution.toml explains the tables."""

    drop: tuple[str, ...]
    prefer: Mapping[str, str]
    add: Mapping[str, tuple[str, ...]]
    cut: Mapping[str, tuple[str, ...]]

    def drops(self, package: str) -> bool:
        return any(fnmatchcase(package, pattern) for pattern in self.drop)


@dataclass(frozen=True, slots=True)
class Wanted:
    attributes: Mapping[str, str]
    rules: Rules
    units: Mapping[str, Unit]
    runtime: tuple[str, ...]
    digest: str

    def unit(self, name: str) -> Unit:
        return self.units.get(name) or parse_unit(name, {})


def parse_unit(name: str, table: Mapping[str, Any]) -> Unit:
    return Unit(
        name=name,
        debs=tuple(table.get("debs", (name,))),
        dependencies=tuple(table["dependencies"]) if "dependencies" in table else None,
        pname=table.get("pname"),
        bare=table.get("bare", False),
        outputs=tuple(table.get("outputs", ("out",))),
        recipe={key: table[key] for key in RECIPE_KEYS if key in table},
    )


def fill(table: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """Replace `{name}` by versions in every text of a TOML table, keys included."""

    def filled(value: object) -> object:
        if isinstance(value, str):
            return PLACEHOLDER.sub(lambda found: versions.get(found[1], found[0]), value)
        if isinstance(value, list):
            return [filled(item) for item in value]
        return fill(value, versions) if isinstance(value, dict) else value

    return {str(filled(key)): filled(value) for key, value in table.items()}


def find_versions(
    table: Mapping[str, Mapping[str, str]], packages: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return version numbers in package names, read from dependencies of other packages."""
    versions = {}
    for name, where in table.items():
        fields = packages.get(where["package"], {})
        text = " ".join((fields.get("Pre-Depends", ""), fields.get("Depends", "")))
        if found := re.search(where["match"], text):
            versions[name] = found[1]
    return versions


def read_wanted(
    attributes: str,
    packages: Mapping[str, Mapping[str, str]],
    architecture: Architecture,
    directory: Path = WANTED,
) -> Wanted:
    """Read the list `attributes` (`small` or `full`); `packages` is the release's index."""
    names: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for path in files(attributes, directory):
        document = tomllib.loads(path.read_text())
        names |= document.pop("attributes", {})
        tables |= document
    versions = {
        **find_versions(tables["versions"], packages),
        "architecture": architecture.debian,
        "triplet": architecture.triplet,
    }
    tables = fill(tables, versions)
    return Wanted(
        attributes=fill(names, versions),
        rules=Rules(
            drop=tuple(tables["drop"]),
            prefer=tables["prefer"],
            add={unit: tuple(names) for unit, names in tables["add"].items()},
            cut={unit: tuple(names) for unit, names in tables["cut"].items()},
        ),
        units={name: parse_unit(name, table) for name, table in tables["units"].items()},
        runtime=tuple(tables["runtime"]),
        digest=wanted_digest(attributes, directory),
    )


def files(attributes: str, directory: Path) -> tuple[Path, ...]:
    """Return the files of a list; the full set includes the small one."""
    names = ["resolution", "units", "small", *(["full"] if attributes == "full" else [])]
    return tuple(directory / f"{name}.toml" for name in names)


def wanted_digest(attributes: str, directory: Path = WANTED) -> str:
    """Return a digest of the lists, by which outdated locks are detected."""
    content = b"".join(path.read_bytes() for path in files(attributes, directory))
    return hashlib.sha256(content).hexdigest()[:16]
