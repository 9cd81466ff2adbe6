"""The outputs of derivations, read from the derivations themselves.

A package set may claim that a package's path is anything in the store.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from app.builder.nix.closure import StorePath
from app.builder.nix.results import EvaluationResult, Failed, Found, Validity
from app.system.blocking import blocking

# Nix: src/libstore/derivations.cc, unparse.  Outputs come first, and nothing in them needs escapes.
_BEGINNING = re.compile(r'Derive\(\[|DrvWithVersion\("[^"\\]*",\[')
_LONGEST = 1024 * 1024
_OUTPUT = re.compile(r'\("([^"\\]+)","([^"\\]*)","[^"\\]*","[^"\\]*"\)(,?)')


def parse(derivation: str) -> dict[str, str]:
    """The paths of a derivation's outputs by their names; "" if only building tells a path.

    Raises ValueError.
    """
    beginning = _BEGINNING.match(derivation)
    if beginning is None:
        raise ValueError("not a derivation")
    place = beginning.end()
    outputs: dict[str, str] = {}
    more = True
    while more:
        output = _OUTPUT.match(derivation, place)
        if output is None:
            raise ValueError("not an output of a derivation")
        outputs[output[1]] = output[2]
        place, more = output.end(), output[3] == ","
    if derivation[place : place + 1] != "]":
        raise ValueError("the outputs of a derivation do not end")
    return outputs


@blocking
def checked(answers: Sequence[EvaluationResult]) -> tuple[EvaluationResult, ...] | None:
    """The answers, with an error for each package whose path is not its output's.

    None if a derivation is not in the store.
    """
    try:
        return tuple(_checked(answer) for answer in answers)
    except FileNotFoundError:
        return None


@blocking
def without_derivations(answers: Sequence[EvaluationResult]) -> tuple[EvaluationResult, ...]:
    """As ``checked``, with an error for each package without a derivation."""
    return tuple((checked([answer]) or (_gone(answer),))[0] for answer in answers)


def _checked(answer: EvaluationResult) -> EvaluationResult:
    """Raises FileNotFoundError.  No message has the right path: it would help a forger."""
    if not isinstance(answer, Found):
        return answer
    try:
        outputs = parse(_read(answer.derivation))
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return Failed(attribute=answer.attribute, message="its derivation is invalid")
    if outputs.get(answer.output) != str(answer.path):
        return Failed(
            attribute=answer.attribute, message="its outPath is not an output of its derivation"
        )
    return answer


def _read(derivation: StorePath) -> str:
    """The beginning: what a builder is given may be gigabytes."""
    with Path(str(derivation)).open("rb") as file:
        return file.read(_LONGEST).decode(errors="replace")


def _gone(answer: EvaluationResult) -> EvaluationResult:
    attribute = answer.attribute if isinstance(answer, Found) else ""
    return Failed(
        attribute=attribute,
        message="its derivation is not in the store",
        validity=Validity.NEVER,
    )
