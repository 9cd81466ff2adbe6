"""Compare the paths that a package set claims with the outputs of its derivations.

A package set may claim that a package's path is anything in the store.
"""

from collections.abc import Sequence

from app.builder.nix.programs.derivation import read_outputs
from app.builder.nix.results import EvaluationResult, Failed, Found, Validity
from app.system.blocking import blocking


@blocking
def check_claims(results: Sequence[EvaluationResult]) -> tuple[EvaluationResult, ...] | None:
    """Replace each package whose path is not that of its output by an error.

    Return None if a derivation is not in the store.
    """
    try:
        return tuple(map(_checked, results))
    except FileNotFoundError:
        return None


@blocking
def check_each_claim(results: Sequence[EvaluationResult]) -> tuple[EvaluationResult, ...]:
    """Do as ``check_claims``, and also replace each package without a derivation."""
    return tuple(map(_checked_or_deleted, results))


def _checked_or_deleted(result: EvaluationResult) -> EvaluationResult:
    try:
        return _checked(result)
    except FileNotFoundError:
        attribute = result.attribute if isinstance(result, Found) else ""
        message = "its derivation is not in the store"
        return Failed(attribute=attribute, message=message, validity=Validity.NEVER)


def _checked(result: EvaluationResult) -> EvaluationResult:
    """Return the result, or an error in its place.  Raises FileNotFoundError.

    No message has the right path, which would help a forger.
    """
    if not isinstance(result, Found):
        return result
    try:
        outputs = read_outputs(str(result.derivation))
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return Failed(attribute=result.attribute, message="its derivation is invalid")
    if outputs.get(result.output) != str(result.path):
        message = "its outPath is not an output of its derivation"
        return Failed(attribute=result.attribute, message=message)
    return result
