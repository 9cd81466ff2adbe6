import json

import pytest

from app.builder.nix.programs.build_log import BuildLog
from app.text import sanitize
from app.text.sanitize import one_line

LEAF = "/nix/store/cw1cj5n21xrqcyn5grrp104psm0f3yw1-leaf-1.0.drv"
OUTPUT = "/nix/store/cw1cj5n21xrqcyn5grrp104psm0f3yw1-leaf-1.0"
TREE = "/nix/store/dc2nrrdbjkpb16vwzx0kbzygsxqymz0w-tree-1.0.drv"


def log_of(*events: dict[str, object]) -> tuple[BuildLog, list[str]]:
    lines: list[str] = []
    log = BuildLog(lines.append)
    for event in events:
        log.feed("@nix " + json.dumps(event))
    return log, lines


def begin(number: int, derivation: str) -> dict[str, object]:
    return {"action": "start", "type": 105, "id": number, "fields": [derivation, "", 1, 1]}


def log_line(number: int, text: str) -> dict[str, object]:
    return {"action": "result", "type": 101, "id": number, "fields": [text]}


def end(number: int) -> dict[str, object]:
    return {"action": "stop", "id": number}


def error(text: str) -> dict[str, object]:
    return {"action": "msg", "level": 0, "msg": text, "raw_msg": text}


def test_lines_carry_the_name_of_what_is_built() -> None:
    _, lines = log_of(begin(1, LEAF), log_line(1, "\x1b[1mchecking\x1b[0m for cc"))

    assert [one_line(text, 500) for text in lines] == [
        f"building {LEAF}",
        "leaf-1.0> checking for cc",
    ]


def test_the_derivation_that_failed_is_named_and_not_the_one_that_needed_it() -> None:
    for dependent in (
        f"\x1b[31;1merror:\x1b[0m 1 dependencies of derivation '{TREE}' failed to build",
        f"error: Cannot build '{TREE}'.\nReason: 1 dependency failed.",
    ):
        log, _ = log_of(
            begin(1, LEAF),
            log_line(1, "no frobnicator"),
            error(f"error: builder for '{LEAF}' failed with exit code 3"),
            end(1),
            error(dependent),
        )

        assert log.failed == LEAF
        assert log.reason == f"builder for '{LEAF}' failed with exit code 3"
        assert log.log(LEAF) == ("no frobnicator",)


def test_a_failure_reported_after_the_end_of_its_build_has_its_log() -> None:
    log, _ = log_of(
        begin(1, LEAF),
        log_line(1, "last line"),
        end(1),
        error(f"error: builder for '{LEAF}' failed with exit code 1; last 1 log lines: last line"),
    )

    assert log.log(log.failed) == ("last line",)
    assert log.reason == f"builder for '{LEAF}' failed with exit code 1"


def test_what_is_being_built_is_known() -> None:
    log, _ = log_of(begin(1, LEAF), begin(2, TREE), end(1))

    assert log.building == (TREE,)


def test_only_the_end_of_a_log_is_kept() -> None:
    log, _ = log_of(begin(1, LEAF), *(log_line(1, f"line {n}") for n in range(1000)))

    assert len(log.log(LEAF)) == 40
    assert log.log(LEAF)[-1] == "line 999"


@pytest.mark.slow
def test_logs_of_thousands_of_finished_builds_are_dropped() -> None:
    lines: list[str] = []
    log = BuildLog(lines.append)
    for number in range(1000):
        derivation = LEAF.replace("leaf", f"leaf{number}")
        for event in (begin(number, derivation), log_line(number, "x"), end(number)):
            log.feed("@nix " + json.dumps(event))

    assert len(log._logs) <= 64


def test_lines_that_are_not_events_are_passed_on() -> None:
    log, lines = log_of()

    log.feed("warning: plain words")
    log.feed("@nix not json")
    log.feed('@nix {"action": "msg", "level": 1, "msg": "warning: a substituter is slow"}')
    log.feed('@nix {"action": "result", "type": 101, "id": 9, "fields": ["of no build"]}')

    assert lines == ["warning: plain words", "warning: a substituter is slow"]


def test_downloads_are_reported() -> None:
    _, lines = log_of(
        {"action": "start", "type": 108, "id": 1, "fields": ["/nix/store/x", "http://cache"]}
    )

    assert lines == ["fetching /nix/store/x from http://cache"]


@pytest.mark.slow
def test_lines_that_are_not_kept_are_not_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[str] = []

    def watched(text: str, limit: int) -> str:
        cleaned.append(text)
        return one_line(text, limit)

    monkeypatch.setattr(sanitize, "one_line", watched)
    log, _ = log_of(begin(1, LEAF), *(log_line(1, "y") for _ in range(10_000)))

    assert cleaned == []
    assert log.log(LEAF) == ("y",) * 40
    assert len(cleaned) == 40


def test_of_very_many_errors_the_first_count() -> None:
    log, _ = log_of(
        error(f"error: builder for '{LEAF}' failed"), *(error("x") for _ in range(1500))
    )

    assert log.failed == LEAF
    assert len(log._errors) == 1000


def test_paths_that_no_cache_has_are_known() -> None:
    def message(level: int, text: str) -> dict[str, object]:
        return {"action": "msg", "level": level, "msg": text}

    log, _ = log_of(
        message(3, "don't know how to build these paths:"),
        message(3, f"  {TREE.removesuffix('.drv')}"),
        message(3, f"  {LEAF.removesuffix('.drv')}"),
        message(3, "these 2 paths will be fetched:"),
        message(3, "  /nix/store/dc2nrrdbjkpb16vwzx0kbzygsxqymz0w-other"),
    )

    assert log.unknown == (TREE.removesuffix(".drv"), LEAF.removesuffix(".drv"))


def test_events_of_another_form_are_ignored() -> None:
    log, lines = log_of(
        {"action": "start", "type": 105, "id": 1, "fields": []},
        {"action": "start", "type": 105, "id": 1},
        {"action": "result", "type": 101, "id": 7, "fields": ["of an unknown build"]},
        {"action": "result", "type": 101, "id": 1, "fields": [1]},
        {"action": "stop", "id": "x"},
        {"action": "other"},
        {},
    )

    assert lines == []
    assert log.building == ()
    assert log.log(LEAF) == ()


def test_derivation_with_another_name_is_shown_whole() -> None:
    _, lines = log_of(begin(1, "/elsewhere/x.drv"), log_line(1, "hello"))

    assert lines[-1] == "/elsewhere/x.drv> hello"


def of_builder(level: int, text: str) -> dict[str, object]:
    """A message that Nix passes on: those of its own errors have ``raw_msg``."""
    return {"action": "msg", "level": level, "msg": text}


@pytest.mark.parametrize(
    "text",
    [
        f"ignoring substitute for '{OUTPUT}' from 'local?root=/', as it's not signed by",
        f"error: '{OUTPUT}' from 'local?root=/' lacks a signature",
        f"error: unable to download 'http://cache/{OUTPUT[11:43]}.narinfo': HTTP error 500",
        f"file '{OUTPUT[11:43]}.narinfo' does not exist in binary cache 'http://cache'",
        "'http://cache' does not appear to be a binary cache",
        "error: No space left on device",
        "don't know how to build these paths:",
        OUTPUT,
    ],
)
def test_messages_that_a_builder_forges_are_lines_of_its_log(text: str) -> None:
    forged = [of_builder(level, text) for level in range(8)]
    log, _ = log_of(begin(1, LEAF), *forged, of_builder(3, OUTPUT), end(1))

    assert (log.fetches.unsigned, log.unknown, log.reason, log.failed) == ({}, (), "", "")
    assert log.fetches.faults({OUTPUT}) == []


def test_failed_downloads_of_builders_are_known() -> None:
    text = "error: unable to download 'https://ftp.example.org/a.tar.gz': HTTP error 404"
    log, lines = log_of(begin(1, LEAF), of_builder(1, text))

    assert log.fetches.other_failures == [("https://ftp.example.org/a.tar.gz", "HTTP error 404")]
    assert lines[-1] == text


def test_messages_before_a_build_are_those_of_nix() -> None:
    text = f"substitute for '{OUTPUT}' from 'http://cache', as it's not signed by any of the keys"
    log, _ = log_of(of_builder(1, text), begin(1, LEAF), end(1))

    assert log.fetches.unsigned == {OUTPUT: "http://cache"}


def test_json_of_any_depth_is_ignored() -> None:
    log, lines = log_of()

    log.feed("@nix " + "[" * 200_000)

    assert (log.reason, lines) == ("", [])
