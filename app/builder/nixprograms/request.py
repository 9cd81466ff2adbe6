"""What Nix's expressions are told of an evaluation, and what Nix itself is told by options."""

from pathlib import Path

from app.builder.nix import Evaluation, PackageSet, Realisation

FEATURES = ("--extra-experimental-features", "nix-command flakes")
_BUILD_NOTHING = ("--option", "allow-import-from-derivation", "false")
OPTIONS = (*FEATURES, *_BUILD_NOTHING)
OUTPUT = 32 * 1024 * 1024


def subject(evaluation: Evaluation) -> dict[str, object]:
    """For nix/package-set.nix, as JSON: data, never Nix text."""
    package_set, allowed = evaluation.package_set, evaluation.allowed
    return {
        "set": {"kind": package_set.kind, "reference": package_set.reference},
        "system": evaluation.system,
        "restricted": evaluation.restricted,
        "config": {
            "unfree": allowed.unfree,
            "insecure": allowed.insecure,
            "broken": allowed.broken,
        },
    }


def restriction(expressions: Path, package_set: PackageSet) -> tuple[str, ...]:
    """Nothing but our expressions and the package set; of the network nothing at all.

    Whatever this machine's configuration of Nix allows.  nix/confined.nix is the other half.
    """
    settings = {
        "restrict-eval": "true",
        "allowed-uris": "",
        "nix-path": "",
        "experimental-features": "nix-command",  # some are further ways out
        "allow-unsafe-native-code-during-evaluation": "false",
        "substitute": "false",  # to name a store path is to ask for it
    }
    readable = [str(expressions), *package_set.readable, package_set.reference]
    return (
        *_BUILD_NOTHING,
        *(word for name, value in settings.items() for word in ("--option", name, value)),
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
