"""How long the error of an evaluation is remembered."""

import pytest

from app.builder.evaluation.isolation import validity
from app.builder.nix.door import EvaluationStopped
from app.builder.nix.results import Validity
from app.errors import EvaluationFailed


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("evaluation aborted with the following error message: 'connection refused'", "always"),
        ("infinite recursion encountered", "always"),
        ("attribute 'foo' missing", "always"),
        ("anonymous function at set.nix:2:50 called without required argument 'a'", "process"),
        ("list index 3 is out of bounds", "process"),
        ("attempt to call something which is not a function but an integer", "process"),
        ("getting status of 'nope.nix': No such file or directory", "minutes"),
        ("unable to download 'https://example.org/x': Couldn't resolve host name (6)", "never"),
        ("program 'git' failed with exit code 128", "never"),
        ("writing to file: No space left on device", "never"),
        ("path '/nix/store/abc-x' is not valid", "never"),
    ],
)
def test_an_error_is_remembered_for_as_long_as_its_cause_lasts(message: str, expected: str) -> None:
    assert validity(EvaluationFailed(message)) == Validity(expected)


def test_an_error_of_a_limit_is_remembered_for_minutes_and_a_kill_is_not() -> None:
    limit = "evaluation stopped after 120 s (evaluation_seconds of source x)"
    killed = "Nix was killed (signal 9); evaluations of source x may use 4096 MiB"

    assert validity(EvaluationStopped(limit)) == Validity.MINUTES
    assert validity(EvaluationStopped(killed)) == Validity.NEVER
