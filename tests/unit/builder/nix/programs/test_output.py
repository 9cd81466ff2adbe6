"""What the server's expressions print, and the ends of evaluations that failed."""

import pytest

from app.builder.nix.door import (
    Evaluation,
    EvaluationStopped,
    Flake,
    InputUnreachable,
    PackageSet,
)
from app.builder.nix.programs import output
from app.builder.nix.results import Failed, NotFound
from app.errors import EvaluationFailed
from app.system.process import Finished, OutOfSpace, OutOfTime
from tests.unit.builder.nix.programs.evaluations import EVALUATION

FLAKE = Flake("/flake", "0" * 40, 0, places=(("utils", "host.example/utils"), ("lib", "/lib?rev")))
OF_FLAKE = Evaluation(
    source="team",
    package_set=PackageSet("flake", "/flake", flake=FLAKE),
    system="x86_64-linux",
    allowed=EVALUATION.allowed,
    restricted=False,
    seconds=60,
    memory=1 << 30,
)


def failure(
    stderr: str, *, code: int = 1, evaluation: Evaluation = EVALUATION
) -> EvaluationFailed | InputUnreachable:
    return output.evaluation_failure(Finished(code, b"", stderr.encode(), 1), evaluation)


@pytest.mark.parametrize("printed", [b"", b"{", b"{}", b"[1]", b"[1, 2, 3]", b"\xff"])
def test_other_output_has_no_rows(printed: bytes) -> None:
    assert output.parse_rows(printed, 2) is None


def test_bytes_that_are_not_text_are_replaced() -> None:
    assert output.parse_rows(b'["a", "\xff"]', 2) == ["a", "\ufffd"]


@pytest.mark.parametrize("row", [None, 1, [], {}, {"status": "package"}, {"status": "other"}])
def test_row_of_another_form_is_an_invalid_package(row: object) -> None:
    assert output.result(row) == Failed(message="invalid package")


def test_row_is_parsed() -> None:
    assert output.result({"status": "unknown"}) == NotFound()


def test_limits_are_named_with_the_setting_that_raises_them() -> None:
    time, space = OutOfTime("60 s", b""), OutOfSpace("32 MiB of output", b"")

    assert str(output.limit_exceeded(time, EVALUATION)) == (
        "evaluation stopped after 60 s (evaluation_seconds of source team)"
    )
    assert str(output.limit_exceeded(space, EVALUATION)) == (
        "evaluation printed more than 32 MiB of output"
    )


@pytest.mark.parametrize(
    ("stderr", "code"),
    [("error: out of memory\n", 1), ("error: std::bad_alloc\n", 1), ("", -9)],
)
def test_memory_is_named_with_its_setting(stderr: str, code: int) -> None:
    error = failure(stderr, code=code)

    assert isinstance(error, EvaluationStopped)
    assert "may use 1024 MiB (evaluation_memory)" in str(error)


@pytest.mark.parametrize(
    "stderr",
    [
        "nix: ../src/libfetchers/fetchers.cc:171: isRelative() const: Assertion `scheme' failed.\n",
        "\x1b[31;1mterminating: \x1b[0mAssertion 'scheme' failed in Input::isRelative()\nNix crashed.",
    ],
)
def test_failed_assertion_of_nix_is_not_explained_by_memory(stderr: str) -> None:
    error = failure(stderr, code=-6, evaluation=OF_FLAKE)

    assert not isinstance(error, EvaluationStopped)
    assert str(error) == (
        "Nix aborted (signal 6): an assertion of Nix itself failed, perhaps at its flake.lock"
    )


def test_missing_name_of_the_search_path_is_explained_by_the_setting() -> None:
    error = failure("error: file 'nixpkgs' was not found in the Nix search path (add it using -I)")

    assert str(error) == (
        "file 'nixpkgs' was not found: the source has no such name in its search path (see the"
        " setting search_path)"
    )


@pytest.mark.parametrize(
    "reason",
    [
        "Couldn't resolve host name",
        "HTTP error 503",
        "HTTP error 429",
        "HTTP error 403 (rate limit exceeded)",
    ],
)
def test_unreachable_host_is_named(reason: str) -> None:
    error = failure(f"error: unable to download 'https://host.example/x': {reason}\n")

    assert isinstance(error, InputUnreachable)
    assert "source team needs https://host.example/x, which cannot be reached" in str(error)


@pytest.mark.parametrize("reason", ["HTTP error 404", "HTTP error 403", "the hash is another"])
def test_missing_file_is_an_error_of_the_set(reason: str) -> None:
    error = failure(f"error: unable to download 'https://host.example/x': {reason}\n")

    assert not isinstance(error, InputUnreachable)


GIT = (
    "fatal: unable to access 'https://host.example/utils/': Failed to connect to host.example\n"
    "error: program 'git' failed with exit code 128\n"
)


def test_host_that_only_git_names_is_added_to_the_message() -> None:
    error = failure(GIT)

    assert isinstance(error, InputUnreachable)
    assert str(error).startswith("source team needs https://host.example/utils/, which cannot")
    assert str(error).endswith("(https://host.example/utils/)")


def test_input_of_a_flake_is_named() -> None:
    assert "needs its input utils, which" in str(failure(GIT, evaluation=OF_FLAKE))


def test_unreachable_host_without_an_address_has_no_name() -> None:
    error = failure(
        "ssh: connect to host git.example port 22: Connection refused\n"
        "error: program 'git' failed with exit code 128\n"
    )

    assert isinstance(error, InputUnreachable)
    assert "needs what it fetches, which cannot be reached" in str(error)


def test_git_that_fails_for_another_reason_is_an_error_of_the_set() -> None:
    error = failure(
        "fatal: not a valid object name\nerror: program 'git' failed with exit code 128\n"
    )

    assert not isinstance(error, InputUnreachable)
