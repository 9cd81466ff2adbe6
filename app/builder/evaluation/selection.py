"""Turn the results of an evaluation into the packages of an image, or an error for the client."""

from app.builder.evaluation.policy import refusal
from app.builder.nix.door import Allowed, EvaluationStopped
from app.builder.nix.results import (
    Ambiguous,
    EvaluationResult,
    Failed,
    Found,
    MetaPackage,
    NotAPackage,
    NotFound,
    Validity,
)
from app.builder.nix.service import Service, parse_service
from app.builder.sources.source import Source
from app.errors import (
    EvaluationFailed,
    ImageUnknown,
    NotADerivation,
    PackagesUnknown,
    PolicyRefused,
)
from app.text.sanitize import one_line

_SHOWN = 300
_UNCERTAIN = frozenset({Validity.MINUTES, Validity.NEVER})


def allowed_by(source: Source) -> Allowed:
    """Return the policy of a source, as Nix gets it."""
    policy = source.definition.policy
    return Allowed(policy.allow_unfree, policy.allow_insecure, policy.allow_broken)


def present_packages(source: Source, results: dict[str, EvaluationResult]) -> dict[str, Found]:
    """Return the packages among results of names that no client requested.

    Raises EvaluationStopped if a result is uncertain: each build might make another image.
    """
    allowed = allowed_by(source)
    passed = {name: result for name, result in results.items() if not _refused(allowed, result)}
    for name, result in passed.items():
        if isinstance(result, Failed) and result.validity in _UNCERTAIN:
            raise EvaluationStopped(
                f"source {source.name} does not evaluate {name}, which the server adds to the"
                f" image: {result.message}"
            )
    return {name: result for name, result in passed.items() if isinstance(result, Found)}


def needed_by(package: Found) -> tuple[str, ...]:
    """Return the packages that the package's service needs.  Raises EvaluationFailed."""
    service = service_of(package)
    return service.packages if service else ()


def service_of(package: Found) -> Service | None:
    """Return how the package's service is started.  Raises EvaluationFailed."""
    if package.service is None:
        return None
    try:
        return parse_service(package.service)
    except ValueError as error:
        reason = one_line(str(error), _SHOWN)
        raise EvaluationFailed(
            f"{package.attribute}: its attribute nixery is not valid: {reason}",
            {"package": package.attribute},
        ) from None


def _refused(allowed: Allowed, result: EvaluationResult) -> bool:
    return isinstance(result, Found | Failed) and bool(refusal(allowed, result))


def found_packages(source: Source, results: dict[str, EvaluationResult]) -> dict[str, Found]:
    """Return the packages of requested names.

    Raises PackagesUnknown, NotADerivation, ImageUnknown, PolicyRefused, EvaluationFailed.
    """
    unknown = tuple(name for name, result in results.items() if isinstance(result, NotFound))
    if unknown:
        raise PackagesUnknown(unknown)
    return {name: _package(source, name, result) for name, result in results.items()}


def _package(source: Source, name: str, result: EvaluationResult) -> Found:
    match result:
        case Ambiguous(candidates=candidates):
            raise ImageUnknown(
                f"{name} may be {' or '.join(candidates[:8])}; image names have no capitals",
                {"package": name, "candidates": list(candidates)},
            )
        case NotAPackage(attribute=attribute, kind=kind):
            raise NotADerivation(attribute, kind)
        case MetaPackage(attribute=attribute):
            raise NotADerivation(attribute, "a meta package within another")
        case Found() | Failed():
            reason = refusal(allowed_by(source), result)
            if reason:
                raise PolicyRefused(f"{name} {reason} (source {source.name})", {"package": name})
            if isinstance(result, Failed):
                lasts = result.validity in {Validity.ALWAYS, Validity.PROCESS}
                failure = EvaluationFailed if lasts else EvaluationStopped
                raise failure(f"{name}: {result.message}", {"package": name})
            return result
        case NotFound():
            raise PackagesUnknown((name,))
