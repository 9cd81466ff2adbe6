"""What Nix's expressions print, and how evaluations fail, in the door's words."""

import json
import re
from collections.abc import Callable
from contextlib import suppress

from app.builder import answers
from app.builder.answers import Answer, Raised
from app.builder.nix import Evaluation, EvaluationStopped
from app.builder.nixprograms.sentences import ending, evaluation_error
from app.builder.running.process import Finished
from app.errors import EvaluationFailed

_MEMORY = re.compile(r"out of memory|bad_alloc|Cannot allocate memory", re.IGNORECASE)
_TRACE = re.compile(r'trace: (".*")')


def document(output: bytes) -> object:
    """What Nix printed as JSON; a package set may hold bytes that are no text."""
    return json.loads(output.decode(errors="replace"))


def answer(row: object) -> Answer:
    try:
        return answers.parse(row)
    except ValueError:
        return Raised(message="it is no well-formed package")


def names(output: bytes) -> tuple[str, ...]:
    """Blocking: there may be megabytes."""
    listed = document(output)
    assert isinstance(listed, list), "list-attributes.nix gives a list"
    return tuple(name for name in listed if isinstance(name, str))


def hear_attribute(text: str, on_attribute: Callable[[str], None]) -> None:
    found = _TRACE.fullmatch(text)
    if found:
        with suppress(ValueError):  # a package set may trace anything
            on_attribute(str(json.loads(found[1])))


def out_of_time(evaluation: Evaluation) -> EvaluationStopped:
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
