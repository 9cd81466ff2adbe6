"""What Nix's expressions print, and how evaluations fail, in the door's words."""

import json
import re

from app.builder import answers
from app.builder.answers import Answer, Raised
from app.builder.nix import Evaluation, EvaluationStopped
from app.builder.nixprograms.sentences import ending, evaluation_error
from app.builder.running.process import Finished, LimitExceeded, OutOfSpace
from app.errors import EvaluationFailed

_MEMORY = re.compile(r"out of memory|bad_alloc|Cannot allocate memory", re.IGNORECASE)


def document(output: bytes) -> object:
    """What Nix printed as JSON; a package set may hold bytes that are no text."""
    return json.loads(output.decode(errors="replace"))


def answer(row: object) -> Answer:
    try:
        return answers.parse(row)
    except ValueError:
        return Raised(message="it is no well-formed package")


def limit_exceeded(error: LimitExceeded, evaluation: Evaluation) -> EvaluationStopped:
    if isinstance(error, OutOfSpace):
        return EvaluationStopped(f"evaluation printed more than {error.limit}")
    return EvaluationStopped(
        f"stopped after the {evaluation.seconds:g} s that evaluations of source"
        f" {evaluation.source} may take (evaluation_seconds)"
    )


def evaluation_failure(finished: Finished, evaluation: Evaluation) -> EvaluationFailed:
    message = evaluation_error(finished.stderr) or ending(finished)
    if finished.code < 0 or _MEMORY.search(message):
        memory = evaluation.memory // (1024 * 1024)
        return EvaluationStopped(
            f"{message}; evaluations of source {evaluation.source} may use"
            f" {memory} MiB (evaluation_memory)"
        )
    return EvaluationFailed(message)
