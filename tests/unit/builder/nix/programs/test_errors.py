import json

import pytest

from app.builder.nix.programs.build_log import BuildLog
from app.builder.nix.programs.errors import (
    evaluation_error,
    exit_reason,
    failure_text,
)
from app.system.process import Finished

LEAF = "/nix/store/cw1cj5n21xrqcyn5grrp104psm0f3yw1-leaf-1.0.drv"

# As printed by Nix 2.8 and by Nix 2.26.
ERRORS = {
    "error: evaluation aborted with the following error message: 'x'\n": (
        "evaluation aborted with the following error message: 'x'"
    ),
    "\x1b[31;1merror:\x1b[0m attribute 'y' missing\n\n       at «string»:1:1:\n\n"
    "            1| ({}).y\n             | ^\n(use '--show-trace' ...)\n": "attribute 'y' missing",
    "error: multi\n       line\n\n       at /x:1:2:\n": "multi line",
    "warning: first\nerror:\n       … while calling the 'throw' builtin\n"
    "         at /var/lib/nixery/trees/abc/source/default.nix:1:2:\n            1| throw\n\n"
    "       error: this was removed\n": "this was removed",
    "error: access to absolute path '/etc/passwd' is forbidden in restricted mode\n": (
        "access to absolute path 'passwd' is forbidden in restricted mode"
    ),
    "error: getting status of /var/lib/nixery/trees/abc/source: No such file or directory\n": (
        "getting status of source: No such file or directory"
    ),
    "": "",
}


@pytest.mark.parametrize(("printed", "message"), ERRORS.items())
def test_an_evaluation_error_becomes_one_line_without_host_paths(
    printed: str, message: str
) -> None:
    assert evaluation_error(printed.encode()) == message


def test_the_last_of_very_many_errors_is_found() -> None:
    lines = b"error: no\n" * 50_000 + b"error:\n" * 10_000
    assert evaluation_error(lines + b" \x1b[31;1merror:\x1b[0m this\none\n" + b"at\n" * 50_000)
    assert evaluation_error(lines + b"error: last\n at /x:1:2:\n" + b"\n" * 50_000) == "last"


def test_a_long_error_is_cut() -> None:
    assert len(evaluation_error(b"error: " + b"x" * 5000)) == 300


FAILURES = (
    f"error: builder for '{LEAF}' failed with code 3",
    f"error: Cannot build '{LEAF}'.\nReason: builder failed with code 3.\nOutput paths:\n  /x",
)


def log_with(*lines: str, failure: str = FAILURES[0]) -> BuildLog:
    log = BuildLog(lambda _: None)
    events = [
        {"action": "start", "type": 105, "id": 1, "fields": [LEAF]},
        *({"action": "result", "type": 101, "id": 1, "fields": [line]} for line in lines),
        {"action": "msg", "level": 0, "msg": failure, "raw_msg": failure},
    ]
    for event in events:
        log.feed("@nix " + json.dumps(event))
    return log


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_build_names_the_derivation_and_its_last_lines(failure: str) -> None:
    message = failure_text(log_with("one", "two", failure=failure), Finished(100, b"", b"", 1))

    assert message == f"{LEAF} failed with code 3: one | two"


def test_a_long_log_shows_its_end_within_one_message() -> None:
    message = failure_text(
        log_with(*(f"line {n} " + "x" * 40 for n in range(50)), "the cause"),
        Finished(100, b"", b"", 1),
    )

    assert message.startswith(f"{LEAF} failed with code 3: …")
    assert message.endswith("the cause")
    assert len(message) <= 300


def test_an_exit_without_a_message_names_the_signal() -> None:
    assert exit_reason(Finished(-9, b"", b"", 1)) == "Nix was killed (signal 9)"
    assert exit_reason(Finished(7, b"", b"", 1)) == "Nix ended with code 7"


def test_a_message_whose_start_was_not_kept_is_too_long_to_show() -> None:
    finished = Finished(1, b"", b"t" * 1024 * 1024, 1)

    assert exit_reason(finished) == "Nix ended with code 1 and a message that is too long to show"
