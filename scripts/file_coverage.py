"""Compare the coverage of each file of app with its minimum.

usage: python -m scripts.file_coverage [--write]

The minimum is 95 % of a file's lines. Files below it are listed in scripts/file_coverage.toml with
what the tests without Nix cover. It may only shrink: remove a file that reached the minimum, raise
a number that is exceeded. ``--write`` does both. Measured by ``make test`` and ``make coverage``.
"""

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from math import floor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / ".state" / "coverage.json"
LIST = ROOT / "scripts" / "file_coverage.toml"
MINIMUM = 95
# Lines that only some interleavings of threads reach may be missing in a run.
TOLERANCE = 2

Percentages = Mapping[str, float]


def main() -> None:
    measured, listed = read_measured(MEASURED), read_list(LIST)
    if "--write" in sys.argv:
        LIST.write_text(format_list(lower(measured, listed)))
    findings = list(compare(measured, read_list(LIST)))
    for finding in findings:
        print(f"coverage: {finding}")
    if findings:
        sys.exit(1)
    print(f"coverage: {len(measured)} files, {len(listed)} of them below {MINIMUM} %")


def read_measured(report: Path) -> dict[str, float]:
    files = json.loads(report.read_text())["files"]
    return {name: file["summary"]["percent_covered"] for name, file in files.items()}


def read_list(path: Path) -> dict[str, float]:
    return dict(tomllib.loads(path.read_text())["below"])


def compare(measured: Percentages, listed: Percentages) -> Iterator[str]:
    """Yield a line for each file that is covered less, or listed without need."""
    for name, percent in sorted(measured.items()):
        wanted = listed.get(name, MINIMUM)
        if percent < wanted - TOLERANCE:
            yield f"{name}: {percent:.0f} % of its lines, at least {wanted} % before"
        elif name in listed and percent >= MINIMUM + TOLERANCE:
            yield f"{name}: {percent:.0f} % of its lines; remove it from {LIST.name}"
    for name in sorted(listed.keys() - measured.keys()):
        yield f"{name}: does not exist; remove it from {LIST.name}"


def lower(measured: Percentages, listed: Percentages) -> dict[str, int]:
    """Return the list without files that reached the minimum, and with higher numbers."""
    return {
        name: floor(max(percent, measured[name]))
        for name, percent in listed.items()
        if measured.get(name, MINIMUM) < MINIMUM
    }


def format_list(below: Mapping[str, int]) -> str:
    rows = "".join(f'"{name}" = {percent}\n' for name, percent in sorted(below.items()))
    return (
        "# Files of app with less than 95 % of their lines covered by the tests without Nix.\n"
        f"# `python -m scripts.file_coverage --write` shortens the list.\n[below]\n{rows}"
    )


if __name__ == "__main__":
    main()
