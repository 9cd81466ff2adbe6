"""What Nix's expressions print, and how evaluations fail, in the door's words."""

import json
import re

from app.builder.nix import results as answers
from app.builder.nix.door import Evaluation, EvaluationStopped, InputUnreachable
from app.builder.nix.programs.errors import ending, evaluation_error
from app.builder.nix.programs.fetch_failures import input_at, unreachable
from app.builder.nix.results import EvaluationResult, Failed
from app.errors import EvaluationFailed
from app.system.process import Finished, LimitExceeded, OutOfSpace
from app.text.sanitize import line

_ADDRESS = 120
# Nix's own advice is for who started it.
_NOT_FOUND = re.compile(r"(file '[^']+' was not found) in the Nix search path.*")
_SEARCH_PATH = r"\1: the source has no such name in its search path (see the setting search_path)"
_MEMORY = re.compile(r"out of memory|bad_alloc|Cannot allocate memory", re.IGNORECASE)


def document(output: bytes) -> object:
    """What Nix printed as JSON; a package set may hold bytes that are no text."""
    return json.loads(output.decode(errors="replace"))


def answer(row: object) -> EvaluationResult:
    try:
        return answers.parse(row)
    except ValueError:
        return Failed(message="it is no well-formed package")


def limit_exceeded(error: LimitExceeded, evaluation: Evaluation) -> EvaluationStopped:
    if isinstance(error, OutOfSpace):
        return EvaluationStopped(f"evaluation printed more than {error.limit}")
    return EvaluationStopped(
        f"stopped after the {evaluation.seconds:g} s that evaluations of source"
        f" {evaluation.source} may take (evaluation_seconds)"
    )


def evaluation_failure(
    finished: Finished, evaluation: Evaluation
) -> EvaluationFailed | InputUnreachable:
    message = evaluation_error(finished.stderr) or ending(finished)
    text = finished.stderr.decode(errors="replace")
    address = unreachable(message, text)
    if address is not None:
        name = input_at(text, evaluation.package_set.flake)
        needed = f"its input {name}" if name else (line(address, _ADDRESS) or "what it fetches")
        return InputUnreachable(
            f"source {evaluation.source} needs {needed}, which cannot be reached: {message}"
        )
    if finished.code < 0 or _MEMORY.search(message):
        memory = evaluation.memory // (1024 * 1024)
        return EvaluationStopped(
            f"{message}; evaluations of source {evaluation.source} may use"
            f" {memory} MiB (evaluation_memory)"
        )
    return EvaluationFailed(_NOT_FOUND.sub(_SEARCH_PATH, message))
