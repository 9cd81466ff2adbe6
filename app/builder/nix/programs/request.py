"""What Nix's expressions are told of an evaluation, and what Nix itself is told by options."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path

from app.builder.nix.door import Evaluation, PackageSet, Realisation

FEATURES = ("--extra-experimental-features", "nix-command flakes")
_BUILD_NOTHING = ("--option", "allow-import-from-derivation", "false")
OPTIONS = (*FEATURES, *_BUILD_NOTHING)
# A host that does not answer is given up within the time of an evaluation.
FETCHING = (
    *("--option", "connect-timeout", "10"),
    *("--option", "stalled-download-timeout", "20"),
    *("--option", "download-attempts", "3"),
)
OUTPUT = 32 * 1024 * 1024


def subject(evaluation: Evaluation) -> dict[str, object]:
    """For nix/package-set.nix, as JSON: data, never Nix text."""
    package_set = evaluation.package_set
    return {
        "set": {
            "kind": package_set.kind,
            "reference": package_set.reference,
            "is_file": package_set.is_file,
            "wrapped": package_set.flake is not None and package_set.flake.wrapped,
            "roots": _roots(package_set),
            "search_path": [
                {"prefix": name, "path": path} for name, path in package_set.search_path
            ],
        },
        "system": evaluation.system,
        "restricted": evaluation.restricted,
        "config": _policy(evaluation),
    }


def options(evaluation: Evaluation, expressions: Path) -> tuple[str, ...]:
    """What Nix's programs are started with, so that nothing of this machine counts."""
    machine = f"{platform.machine()}-linux"
    return (
        *(restriction(expressions, evaluation.package_set) if evaluation.restricted else OPTIONS),
        *FETCHING,
        *_words({"nix-path": ""}),
        *(w for name, path in evaluation.package_set.search_path for w in ("-I", f"{name}={path}")),
        # What builtins.currentSystem is; a daemon ignores it, with a warning.
        *(_words({"system": evaluation.system}) if evaluation.system != machine else ()),
    )


def variables(evaluation: Evaluation, expressions: Path) -> dict[str, str]:
    """For package sets that import nixpkgs themselves; nix/confined.nix has the same."""
    return {
        "NIXPKGS_CONFIG": str(expressions / "nixpkgs-config.nix"),
        "NIXERY_POLICY": json.dumps(_policy(evaluation)),
    }


def _policy(evaluation: Evaluation) -> dict[str, object]:
    allowed = evaluation.allowed
    return {
        "unfree": allowed.unfree,
        "insecure": allowed.insecure,
        "broken": allowed.broken,
    }


def _roots(package_set: PackageSet) -> list[str]:
    """The largest first, since a path is looked for in the first that holds it."""
    whole = package_set.readable if package_set.flake is None else ()
    own = [path for path in whole if package_set.reference.startswith(f"{path}/")]
    return [*own, package_set.reference, *(path for _, path in package_set.search_path)]


def _words(settings: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for name, value in settings.items() for word in ("--option", name, value))


def restriction(expressions: Path, package_set: PackageSet) -> tuple[str, ...]:
    """Nothing but our expressions and the package set; of the network nothing at all.

    Whatever this machine's configuration of Nix allows.  nix/confined.nix is the other half.
    """
    settings = {
        "restrict-eval": "true",
        "allowed-uris": "",
        "experimental-features": "nix-command",  # some are further ways out
        "allow-unsafe-native-code-during-evaluation": "false",
        "substitute": "false",  # to name a store path is to ask for it
    }
    entries = (path for _, path in package_set.search_path)
    readable = [str(expressions), *package_set.readable, package_set.reference, *entries]
    return (
        *_BUILD_NOTHING,
        *_words(settings),
        *(word for n, path in enumerate(readable) for word in ("-I", f"r{n}={path}")),
    )


def substituters(chosen: tuple[str, ...] | None) -> tuple[str, ...]:
    """None means Nix's own configuration."""
    if chosen is None:
        return ()
    if not chosen:
        return ("--option", "substitute", "false")
    return ("--option", "substitute", "true", "--option", "substituters", " ".join(chosen))


def realising(realisation: Realisation) -> tuple[str, ...]:
    """Without ``build`` nothing may run, here or on another machine."""
    if not realisation.build:
        settings = {"max-jobs": "0", "builders": "", "fallback": "false"}
    elif realisation.sandboxed:
        settings = {"sandbox": "true", "sandbox-fallback": "false"}
    else:
        settings = {}
    return tuple(word for name, value in settings.items() for word in ("--option", name, value))
