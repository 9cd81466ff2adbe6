"""What the units this one depends on hold, as they wrote it down when they were built."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
    """Kept in each unit for those that depend on it.

    `dependencies` (unit to store path) also makes every Debian dependency a reference in
    Nix's sense, whether or not a file of the unit names it. `sonames` maps a library's file
    name to its directory inside the unit.
    """

    dependencies: Mapping[str, str]
    sonames: Mapping[str, str]
    perl: bool
    python: bool


@dataclass(frozen=True, slots=True)
class Dependency:
    unit: str
    path: Path
    record: Record


def record_place(unit: str) -> str:
    """Named after the unit, since an image links many units into one tree."""
    return f"nix-support/debian/{unit}.json"


def write_record(record: Record, unit: str, out: Path) -> None:
    path = out / record_place(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(record), indent=1, sort_keys=True) + "\n")


def read_record(unit: str, path: Path) -> Record:
    return Record(**json.loads((path / record_place(unit)).read_text()))


def closure(direct: Mapping[str, str]) -> tuple[Dependency, ...]:
    """Everything reachable, nearest first, then by name: the order in which files are looked for."""
    found: dict[str, Dependency] = {}
    waiting = sorted(direct.items())
    for unit, path in waiting:
        if unit not in found:
            record = read_record(unit, Path(path))
            found[unit] = Dependency(unit, Path(path), record)
            waiting.extend(sorted(record.dependencies.items()))
    return tuple(found.values())
