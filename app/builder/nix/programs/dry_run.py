"""What ``nix-store --realise`` would build and download, by its ``--dry-run``."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.builder.nix.closure import StorePath
from app.builder.nix.door import RealiseOptions
from app.builder.nix.programs.configuration import NixConfiguration
from app.builder.nix.programs.errors import evaluation_error, exit_reason
from app.builder.nix.programs.programs import Programs
from app.builder.nix.programs.request import realising, substitution
from app.errors import StoreUnavailable
from app.system.process import Limits, OutOfSpace, OutOfTime

# Nix prints the lists to standard error (libmain/shared.cc), each path on an indented line.
_HEADINGS = {
    "builds": re.compile(r"th(?:is|ese).* derivations? will be built:"),
    "downloads": re.compile(r"th(?:is|ese).* paths? will be fetched.*:"),
    "unknown": re.compile(r"don't know how to build these paths.*:"),
}


@dataclass(frozen=True, slots=True)
class DryRun:
    """The lists of a dry run.

    ``unknown`` are paths that cannot be built, and that no binary cache has.
    """

    builds: frozenset[StorePath] = frozenset()
    downloads: frozenset[StorePath] = frozenset()
    unknown: frozenset[StorePath] = frozenset()


async def dry_run(
    programs: Programs,
    configuration: NixConfiguration,
    arguments: Sequence[str],
    options: RealiseOptions,
    *,
    seconds: float,
) -> DryRun:
    """Return what a realisation would do.

    ``arguments`` are paths or derivations with an output, and settings for every call.
    Raises StoreUnavailable, Unavailable.
    """
    command = [
        *("nix-store", "--realise", "--dry-run", *arguments),
        *substitution(options.substituters),
        *realising(options),
    ]
    lines: list[str] = []
    try:
        finished = await programs.run(
            "preview",
            command,
            Limits(seconds=seconds),
            on_line=lines.append,
            environment=await configuration.realisation(options),
        )
    except (OutOfTime, OutOfSpace) as error:
        raise StoreUnavailable(f"Nix cannot plan a build: {error}") from None
    if finished.code:
        why = evaluation_error(finished.stderr) or exit_reason(finished)
        raise StoreUnavailable(f"Nix cannot plan a build: {why}")
    return parse(lines)


def parse(lines: Iterable[str]) -> DryRun:
    """Ignore lines that are not part of a list, such as warnings."""
    found: dict[str, set[StorePath]] = {name: set() for name in _HEADINGS}
    current: set[StorePath] | None = None
    for line in lines:
        if line.startswith("  ") and current is not None:
            _add(current, line.strip())
        else:
            current = next((found[n] for n, h in _HEADINGS.items() if h.fullmatch(line)), None)
    return DryRun(**{name: frozenset(paths) for name, paths in found.items()})


def _add(paths: set[StorePath], text: str) -> None:
    try:
        paths.add(StorePath.parse(text))
    except ValueError:
        return
