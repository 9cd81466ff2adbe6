"""Sentences made from what Nix prints for people."""

import re

from app.builder.nix.programs.build_log import BuildLog
from app.system.process import Finished
from app.text.sanitize import line, sentence

_MESSAGE_LIMIT = 300
_REASON_LIMIT = 260
_ERROR = re.compile(r"^(\s*)error:[ \t]*(\S.*)$")
# One search from the end: a package set may print a megabyte of lines that look like errors.
_LAST_ERROR = re.compile(
    rb"(?s:(?P<before>.*^))(?:[ \t]|\x1b\[[0-9;]*m)*error:(?:[ \t]|\x1b\[[0-9;]*m)*[^\s\x1b]",
    re.MULTILINE,
)
_ERROR_SIZE = 16 * 1024  # of which a message has the beginning
_ERROR_LINES = 200
_END = re.compile(r"^\s*(at (/|«|<|\(|\"|')|\(use '--show-trace'|…|\d*\||note:|$)")
_BUILDER = re.compile(r"(?:[Bb]uilder for|Cannot build) '([^']+)'(?:\. Reason: (?:builder )?)?")
# Nix 2.8 and 2.34.
_OTHER_SYSTEM = re.compile(r"^a '([\w-]+)' with features|Required system: '([\w-]+)'")
_SIGNALS = {6: "aborted", 9: "was killed", 11: "crashed"}


def evaluation_error(stderr: bytes) -> str:
    """The message of the last error, on one line; later lines of Nix's are its place."""
    last = _LAST_ERROR.match(stderr)
    if last is None:
        return ""
    first, *others = line_breaks(stderr[last.end("before") :][:_ERROR_SIZE])
    start = _ERROR.match(first)
    found = [start[2]] if start else []
    for more in others[:_ERROR_LINES]:
        if _END.match(more):
            break
        found.append(more)
    return sentence(" ".join(found), _MESSAGE_LIMIT)


def line_breaks(stderr: bytes) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;]*m", "", stderr.decode(errors="replace"))
    return text.splitlines()


def ending(finished: Finished) -> str:
    """How a program ended that left no message."""
    if finished.code < 0:
        return f"Nix {_SIGNALS.get(-finished.code, 'was stopped')} (signal {-finished.code})"
    return f"Nix ended with code {finished.code}"


def failure_text(log: BuildLog, finished: Finished) -> str:
    """Which derivation failed, why, and the end of its log, as much as fits."""
    system = _OTHER_SYSTEM.search(log.reason)
    if system:
        return f"{log.failed} can only be built on {system[1] or system[2]}, and this is another"
    reason = line(log.reason, _REASON_LIMIT) or ending(finished)
    message = _BUILDER.sub(_derivation_first, reason).rstrip(".")
    lines = " | ".join(text for text in log.log(log.failed)[-10:] if text)
    room = _MESSAGE_LIMIT - len(message) - 2
    if not lines or room < 20:
        return message
    return f"{message}: {lines if len(lines) <= room else '…' + lines[-(room - 1) :]}"


def is_other_system(reason: str) -> bool:
    """Return whether Nix refused to build for a system that this machine is not."""
    return _OTHER_SYSTEM.search(reason) is not None


def _derivation_first(found: re.Match[str]) -> str:
    return f"{found[1]} " if found[0].endswith((" ", ":")) else found[1]
