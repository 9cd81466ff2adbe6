"""What Nix's expressions are told of an evaluation, and what Nix itself is told by options."""

from pathlib import Path

from app.builder.nix import Evaluation, PackageSet

FEATURES = ("--extra-experimental-features", "nix-command flakes")
OPTIONS = (*FEATURES, "--option", "allow-import-from-derivation", "false")
OUTPUT = 32 * 1024 * 1024


def subject(evaluation: Evaluation) -> dict[str, object]:
    """For nix/package-set.nix, as JSON: data, never Nix text."""
    package_set, allowed = evaluation.package_set, evaluation.allowed
    return {
        "set": {"kind": package_set.kind, "reference": package_set.reference},
        "system": evaluation.system,
        "config": {
            "unfree": allowed.unfree,
            "insecure": allowed.insecure,
            "broken": allowed.broken,
        },
    }


def restriction(expressions: Path, package_set: PackageSet) -> tuple[str, ...]:
    """Nothing but our expressions and the package set; of the network nothing at all."""
    flake = package_set.kind == "flake"
    reachable = package_set.reference.partition("?")[0] if flake else ""
    readable = [str(expressions), *package_set.readable]
    if not flake:
        readable.append(package_set.reference)
    return (
        *("--option", "restrict-eval", "true", "--option", "allowed-uris", reachable),
        *(word for n, path in enumerate(readable) for word in ("-I", f"r{n}={path}")),
    )


def substituters(chosen: tuple[str, ...] | None) -> tuple[str, ...]:
    """None means Nix's own configuration."""
    if chosen is None:
        return ()
    if not chosen:
        return ("--option", "substitute", "false")
    return ("--option", "substitute", "true", "--option", "substituters", " ".join(chosen))
