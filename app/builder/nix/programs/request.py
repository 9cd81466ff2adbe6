"""The input of the server's expressions, and the options of Nix's programs."""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from app.builder.nix.door import Evaluation, PackageSet, RealiseOptions

FEATURES = ("--extra-experimental-features", "nix-command flakes")
_BUILD_NOTHING = ("--option", "allow-import-from-derivation", "false")
# The new name and the old.
SHOW_CONFIGURATION = (("config", "show"), ("show-config",))
OPTIONS = (*FEATURES, *_BUILD_NOTHING)
_EVALUATE = ("nix-instantiate", "--eval", "--strict")
READ_ONLY = (*_EVALUATE, "--readonly-mode")
READ_WRITE = (*_EVALUATE, "--read-write-mode")
# The longest waits for a host, in seconds.
_CONNECT_SECONDS = 10
_SILENT_SECONDS = 20
OUTPUT = 32 * 1024 * 1024


def subject(evaluation: Evaluation) -> dict[str, object]:
    """Return the input of nix/package-set.nix: JSON, never Nix text."""
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
    """Return the options of an evaluation: nothing of this machine may decide its result."""
    machine = f"{platform.machine()}-linux"
    return (
        *(restriction(expressions, evaluation.package_set) if evaluation.restricted else OPTIONS),
        *fetching(evaluation),
        *_settings({"nix-path": ""}),
        *(
            argument
            for name, path in evaluation.package_set.search_path
            for argument in ("-I", f"{name}={path}")
        ),
        # Decides builtins.currentSystem; a daemon ignores it, with a warning.
        *(_settings({"system": evaluation.system}) if evaluation.system != machine else ()),
    )


def fetching(evaluation: Evaluation) -> tuple[str, ...]:
    """Return options that give up a silent host within the time of the evaluation."""
    return _settings(
        {
            "connect-timeout": str(_connect_seconds(evaluation)),
            "stalled-download-timeout": str(_silent_seconds(evaluation)),
            "download-attempts": "3",
        }
    )


def _connect_seconds(evaluation: Evaluation) -> int:
    return max(1, min(_CONNECT_SECONDS, int(evaluation.seconds / 12)))


def _silent_seconds(evaluation: Evaluation) -> int:
    return max(1, min(_SILENT_SECONDS, int(evaluation.seconds / 8)))


def variables(evaluation: Evaluation, expressions: Path) -> dict[str, str]:
    """Return variables for package sets that import nixpkgs, and for git.

    nix/confined.nix has those of nixpkgs as well.  Git waits for a silent host without limit.
    """
    silent, connecting = _silent_seconds(evaluation), _connect_seconds(evaluation)
    return {
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": str(silent),
        "GIT_SSH_COMMAND": f"ssh -o BatchMode=yes -o ConnectTimeout={connecting}"
        f" -o ServerAliveInterval={silent} -o ServerAliveCountMax=1",
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
    """Return the largest first: a path is searched in the first that contains it."""
    whole = package_set.readable if package_set.flake is None else ()
    own = [path for path in whole if package_set.reference.startswith(f"{path}/")]
    return [*own, package_set.reference, *(path for _, path in package_set.search_path)]


def _settings(settings: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        argument for name, value in settings.items() for argument in ("--option", name, value)
    )


def restriction(expressions: Path, package_set: PackageSet) -> tuple[str, ...]:
    """Return options that let Nix read the expressions and the package set, and nothing else.

    They override the machine's nix.conf.  nix/confined.nix is the other half.
    """
    settings = {
        "restrict-eval": "true",
        "allowed-uris": "",
        "experimental-features": "nix-command",  # others are ways out
        "allow-unsafe-native-code-during-evaluation": "false",
        "substitute": "false",  # a store path that is named would be fetched
    }
    entries = (path for _, path in package_set.search_path)
    readable = [str(expressions), *package_set.readable, package_set.reference, *entries]
    return (
        *_BUILD_NOTHING,
        *_settings(settings),
        *(argument for n, path in enumerate(readable) for argument in ("-I", f"r{n}={path}")),
    )


def chosen_caches(chosen: tuple[str, ...] | None) -> str:
    """Return a setting of nix.conf; "" keeps its own caches.

    A cache's address may contain a password, which must not be in the arguments of a program.
    """
    return f"substituters = {' '.join(chosen)}" if chosen else ""


def substitution(chosen: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return options that turn binary caches on or off; None keeps what nix.conf has."""
    if chosen is None:
        return ()
    return ("--option", "substitute", "true" if chosen else "false")


def realising(options: RealiseOptions) -> tuple[str, ...]:
    """Return options for builds; without ``build`` none may run, on any machine.

    Nix gives the passwords of its netrc file to each derivation with ``builtin:fetchurl``.
    """
    settings: dict[str, str] = {}
    if not options.build:
        settings = {"max-jobs": "0", "builders": "", "fallback": "false"}
    elif options.sandboxed:
        settings = {"sandbox": "true", "sandbox-fallback": "false"}
    if options.build and not options.trusted:
        settings["netrc-file"] = os.devnull
    return tuple(
        argument for name, value in settings.items() for argument in ("--option", name, value)
    )
