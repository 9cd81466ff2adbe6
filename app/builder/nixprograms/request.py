"""What Nix's expressions are told of an evaluation, and the options all evaluations have."""

from app.builder.nix import Evaluation

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
