"""Messages for users, from the output of Nix."""

import re

from app.builder.nix.programs.build_log import BuildLog
from app.system.process import Finished
from app.text.sanitize import one_line, one_line_for_client

_MESSAGE_LIMIT = 300
_REASON_LIMIT = 260
_ERROR = re.compile(r"^(\s*)error:[ \t]*(\S.*)$")
# Searched from the end: a package set may print a megabyte of lines that look like errors.
_LAST_ERROR = re.compile(
    rb"(?s:(?P<before>.*^))(?:[ \t]|\x1b\[[0-9;]*m)*error:(?:[ \t]|\x1b\[[0-9;]*m)*[^\s\x1b]",
    re.MULTILINE,
)
_ERROR_SIZE = 16 * 1024  # the start of an error, which is enough for a message
_ERROR_LINES = 200
_LONG = 512 * 1024
_END = re.compile(r"^\s*(at (/|«|<|\(|\"|')|\(use '--show-trace'|…|\d*\||note:|$)")
_BUILDER = re.compile(r"(?:[Bb]uilder for|Cannot build) '([^']+)'(?:\. Reason: (?:builder )?)?")
# Nix 2.8 and 2.34.
_OTHER_SYSTEM = re.compile(r"^a '([\w-]+)' with features|Required system: '([\w-]+)'")
# Nix: src/libstore/build/worker.cc, failingExitStatus; odd codes are time-outs.
_PERMANENT = range(100, 112, 2)
# Refusals that Nix reports without that code.
_REFUSED = re.compile(
    r"exportReferencesGraph|cannot export references|has '__noChroot' set"
    r"|illegal reference specifier|is not allowed to (?:refer|have)|is too large at \d+ bytes"
    r"|suspicious ownership or permission"
    # Devices, pipes and sockets; names that file systems do not take.
    r"|^file '.*' has an unsupported type|File name too long"
)
_SIGNALS = {6: "aborted", 9: "was killed", 11: "crashed"}


def evaluation_error(stderr: bytes) -> str:
    """Return the message of the last error on one line, without its position."""
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
    return one_line_for_client(" ".join(found), _MESSAGE_LIMIT)


def line_breaks(stderr: bytes) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;]*m", "", stderr.decode(errors="replace"))
    return text.splitlines()


def exit_reason(finished: Finished) -> str:
    """Describe the end of a program that printed no message, or one whose start was not kept."""
    if finished.code < 0:
        return f"Nix {_SIGNALS.get(-finished.code, 'was stopped')} (signal {-finished.code})"
    if len(finished.stderr) > _LONG:
        return f"Nix ended with code {finished.code} and a message that is too long to show"
    return f"Nix ended with code {finished.code}"


def failure_text(log: BuildLog, finished: Finished) -> str:
    """Return which derivation failed, why, and as much of the end of its log as fits."""
    system = _OTHER_SYSTEM.search(log.reason)
    if system:
        return f"{log.failed} can only be built on {system[1] or system[2]}, and this is another"
    reason = one_line(log.reason, _REASON_LIMIT) or exit_reason(finished)
    message = _BUILDER.sub(_derivation_first, reason).rstrip(".")
    lines = " | ".join(text for text in log.log(log.failed)[-10:] if text)
    room = _MESSAGE_LIMIT - len(message) - 2
    if not lines or room < 20:
        return message
    return f"{message}: {lines if len(lines) <= room else '…' + lines[-(room - 1) :]}"


def is_refused(reason: str, finished: Finished) -> bool:
    """Return whether Nix refused a derivation, or its outputs, for a lasting reason."""
    return finished.code in _PERMANENT or _REFUSED.search(reason) is not None


def is_other_system(reason: str) -> bool:
    """Return whether Nix refused to build for a system that this machine is not."""
    return _OTHER_SYSTEM.search(reason) is not None


def _derivation_first(found: re.Match[str]) -> str:
    return f"{found[1]} " if found[0].endswith((" ", ":")) else found[1]
