"""All names in one evaluation, unless one of them ends it: then without that one.

Nix cannot catch an abort, an infinite recursion or a missing attribute inside a package, so
the names are halved until the one stands alone; none poisons another.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from app.builder.evaluation.policy import refusal, remedy
from app.builder.nix.door import Evaluation, EvaluationStopped, NixEvaluator, OneOfManyFailed
from app.builder.nix.results import EvaluationResult, Failed, Validity
from app.errors import EvaluationFailed

_LEAST_SECONDS = 5
_EXPLAINED = 4
_SUBMODULES = 4
_ADVICE = re.compile(r"(?<=refusing to evaluate)\..*", re.IGNORECASE)
_NO_FILE = re.compile(r"No such file or directory|does not exist")
# Errors that the same package set raises on every machine.
_LASTING = re.compile(
    r"^(evaluation aborted|infinite recursion|stack overflow|attribute '|undefined variable|"
    r"cannot (add|build|coerce|compare) |value is |.*forbidden in restricted mode)"
)
# Errors that the network, a full disk or another process causes.
_TRANSIENT = re.compile(
    r"unable to download|unable to load|failed to fetch|cannot fetch|timed out"
    r"|could ?n.t (resolve|connect)|could not (resolve|connect|read)|HTTP error"
    r"|connection (was )?(reset|refused|closed|aborted)"
    r"|program '[^']*' failed|no space left|too many open files|database is|cannot connect"
    r"|(killed|stopped) \(signal|resource temporarily|I/O error|/nix/store/.*(is not valid|no such file)",
    re.IGNORECASE,
)


async def evaluate_apart(
    nix: NixEvaluator, evaluation: Evaluation, names: Sequence[str]
) -> tuple[EvaluationResult, ...]:
    """Return a result for each name, in order; every Failed has a message.

    Raises EvaluationFailed if the package set as a whole does not evaluate.
    """
    results = await _results(nix, evaluation, tuple(names))
    explained = []
    left = _EXPLAINED
    for name, result in zip(names, results, strict=True):
        if _is_open(evaluation, result):
            explained.append(await _explain(nix, evaluation, name) if left else _UNEXPLAINED)
            left = max(left - 1, 0)
        else:
            explained.append(result)
    return tuple(explained)


_UNEXPLAINED = Failed(
    message="it does not evaluate, like others of this image", validity=Validity.NEVER
)


async def _results(
    nix: NixEvaluator, evaluation: Evaluation, names: tuple[str, ...]
) -> tuple[EvaluationResult, ...]:
    if not names:
        return ()
    try:
        return await nix.evaluate(evaluation, names)
    except OneOfManyFailed:
        pass  # the kept evaluator finds the name without importing the set again
    except EvaluationFailed as error:
        await _check_whole(nix, evaluation)
        if len(names) == 1:
            return (_raised(evaluation, error),)
        # New processes, so that no limit ends the kept evaluator, which other requests use.
        evaluation = replace(evaluation, revision=None, read_only=False)
        if isinstance(error, EvaluationStopped):
            # Half of the time for each half, so that both take no longer than the whole.
            seconds = max(evaluation.seconds / 2, _LEAST_SECONDS)
            evaluation = replace(evaluation, seconds=seconds)
    middle = len(names) // 2
    return (
        *await _results(nix, evaluation, names[:middle]),
        *await _results(nix, evaluation, names[middle:]),
    )


async def _check_whole(nix: NixEvaluator, evaluation: Evaluation) -> None:
    """Evaluate no name.  Raises EvaluationFailed if the package set itself fails."""
    try:
        await nix.evaluate(evaluation, ())
    except EvaluationFailed as error:
        why = _hinted(evaluation, error.message)
        whole = f"the package set of source {evaluation.source} does not evaluate: {why}"
        raise type(error)(whole) from None


def _is_open(evaluation: Evaluation, result: EvaluationResult) -> bool:
    return (
        isinstance(result, Failed)
        and not result.message
        and not refusal(evaluation.allowed, result)
    )


async def _explain(nix: NixEvaluator, evaluation: Evaluation, name: str) -> EvaluationResult:
    """Evaluate the name again, without catching its error."""
    try:
        (result,) = await nix.evaluate(evaluation, [name], explain=True)
    except EvaluationStopped as error:
        return _raised(evaluation, error)
    except EvaluationFailed as error:
        # The error can be caught, so the set itself throws it.
        return Failed(message=_hinted(evaluation, error.message))
    return result


def _raised(evaluation: Evaluation, error: EvaluationFailed) -> Failed:
    return Failed(message=_hinted(evaluation, error.message), validity=validity(error))


def validity(error: EvaluationFailed) -> Validity:
    """Return how long the error may be remembered."""
    if _TRANSIENT.search(error.message) and not _LASTING.match(error.message):
        return Validity.NEVER
    if isinstance(error, EvaluationStopped) or _NO_FILE.search(error.message):
        return Validity.MINUTES
    return Validity.ALWAYS if _LASTING.match(error.message) else Validity.PROCESS


def _hinted(evaluation: Evaluation, message: str) -> str:
    """Add what Nix and nixpkgs do not know: this server's settings, submodules."""
    setting = remedy(message)
    if setting:
        # The package set's own advice is for users who run Nix by hand.
        reason = _ADVICE.sub("", message).rstrip(" .")
        if evaluation.package_set.kind == "flake":
            return f"{reason}; the flake's own config of nixpkgs may allow it"
        return f"{reason}; {setting} may allow it"
    submodules = evaluation.package_set.submodules
    if not submodules or not _NO_FILE.search(message):
        return message
    more = ", ..." if len(submodules) > _SUBMODULES else ""
    named = ", ".join(submodules[:_SUBMODULES]) + more
    return f"{message} (submodules are not fetched: {named})"
