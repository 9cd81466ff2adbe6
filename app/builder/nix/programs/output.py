"""Parse what the server's expressions print, and translate failed evaluations."""

import json
import re
import signal

from app.builder.nix.door import Evaluation, EvaluationStopped, InputUnreachable
from app.builder.nix.programs.errors import evaluation_error, exit_reason
from app.builder.nix.programs.fetch_failures import unreachable
from app.builder.nix.programs.input_failures import (
    input_at,
    missing_input,
    not_a_flake,
    refused,
)
from app.builder.nix.results import EvaluationResult, Failed, parse
from app.errors import EvaluationFailed
from app.system.blocking import blocking
from app.system.process import Finished, LimitExceeded, OutOfSpace
from app.text.sanitize import one_line
from app.text.size import MIB

_ADDRESS = 120
# Nix adds advice that does not help a client, which cannot change the search path.
_NOT_FOUND = re.compile(r"(file '[^']+' was not found) in the Nix search path.*")
_SEARCH_PATH = r"\1: the source has no such name in its search path (see the setting search_path)"
_ASSERTION = re.compile(r"^nix.*: Assertion `|: .*Assertion '.*' failed in ", re.MULTILINE)
_MEMORY = re.compile(r"out of memory|bad_alloc|Cannot allocate memory", re.IGNORECASE)


@blocking
def parse_document(output: bytes) -> object:
    """Parse JSON of up to 32 MiB; a package set may contain bytes that are not UTF-8.

    Raises ValueError.
    """
    return json.loads(output.decode(errors="replace"))


@blocking
def parse_rows(output: bytes, count: int) -> list[object] | None:
    """Parse a list of ``count`` rows; None for any other output."""
    try:
        rows = parse_document(output)
    except ValueError:
        return None
    return rows if isinstance(rows, list) and len(rows) == count else None


def result(row: object) -> EvaluationResult:
    """Parse the row of one name."""
    try:
        return parse(row)
    except ValueError:
        return Failed(message="invalid package")


def limit_exceeded(error: LimitExceeded, evaluation: Evaluation) -> EvaluationStopped:
    """Translate the limit that ended an evaluation."""
    if isinstance(error, OutOfSpace):
        return EvaluationStopped(f"evaluation printed more than {error.limit}")
    return EvaluationStopped(
        f"evaluation stopped after {evaluation.seconds:g} s (evaluation_seconds of source"
        f" {evaluation.source})"
    )


def evaluation_failure(
    finished: Finished, evaluation: Evaluation
) -> EvaluationFailed | InputUnreachable:
    """Translate the end of an evaluation that failed."""
    message = evaluation_error(finished.stderr) or exit_reason(finished)
    text = finished.stderr.decode(errors="replace")
    flake = evaluation.package_set.flake
    address = unreachable(message, text)
    if address is not None:
        name = input_at(text, flake)
        shown = one_line(address, _ADDRESS)
        needed = f"its input {name}" if name else (shown or "what it fetches")
        if address not in message:  # git prints it, and Nix does not
            message = f"{message} ({shown})"
        return InputUnreachable(
            f"source {evaluation.source} needs {needed}, which cannot be reached: {message}"
        )
    if finished.code == -signal.SIGABRT and _ASSERTION.search(text):
        hint = ", perhaps at its flake.lock" if flake else ""
        return EvaluationFailed(f"{message}: an assertion of Nix itself failed{hint}")
    if finished.code < 0 or _MEMORY.search(message):
        memory = evaluation.memory // MIB
        return EvaluationStopped(
            f"{message}; evaluations of source {evaluation.source} may use"
            f" {memory} MiB (evaluation_memory)"
        )
    name = missing_input(message, text, flake)
    if name:
        message = f"its input {name} does not exist on this machine: {message}"
    message = not_a_flake(message, text, flake) or refused(message, text, flake) or message
    return EvaluationFailed(_NOT_FOUND.sub(_SEARCH_PATH, message))
