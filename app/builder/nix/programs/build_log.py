"""Parse what Nix prints while it realises (``--log-format internal-json``).

Nix: src/libutil/logging.hh, ActivityType and ResultType.

A builder can print messages in Nix's form, which Nix passes on as its own (handleJSONLogMessage).
They have no ``raw_msg``, which Nix's errors have.  So other messages count as Nix's only while no
builder runs.
"""

import json
import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache

from app.builder.nix.closure import StorePath
from app.builder.nix.programs.fetches import Fetches
from app.text.sanitize import LastLines, one_line

_PREFIX = "@nix "
_BUILD, _SUBSTITUTE = 105, 108
_LOG_LINE, _POST_BUILD_LINE = 101, 107
_ERROR, _WARNING = 0, 1
_LINES = 40
_LINE_LIMIT = 500
_MESSAGE_LIMIT = 4000
_ERRORS = 1000
_FINISHED = 64
_DERIVATION = re.compile(r"/nix/store/[0-9a-z]{32}-[0-9a-zA-Z+\-._?=]+\.drv")
# Errors of derivations that depend on the failed one, in old and new versions of Nix.
_CONSEQUENCE = re.compile(r"dependenc(?:y|ies)|\bdependencies of\b|some outputs of")
_UNKNOWN = re.compile(r"don't know how to build these paths")
_REPEATED = re.compile(r";? last \d+ log lines:|\s*output paths:", re.IGNORECASE)


class BuildLog:
    """The state of a realisation: what builds now, each log, and the first failure.

    ``failed`` is the derivation that failed, not one that depends on it; "" if Nix named none.
    ``on_line`` receives lines that are not sanitized.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._running: dict[int, str] = {}
        self._started: set[str] = set()
        self._logs: dict[str, LastLines] = {}
        self._finished: deque[str] = deque()
        self._errors: list[str] = []
        self._unknown: list[str] = []
        self._listing = False
        self.fetches = Fetches()
        self.failed = ""

    def feed(self, text: str) -> None:
        """Take one line of standard error."""
        if not text.startswith(_PREFIX):
            self._report(text)
            return
        try:
            event = json.loads(text.removeprefix(_PREFIX))
        except (ValueError, RecursionError):
            return
        match event:
            case {"action": "start", "type": int(kind), "id": int(number)}:
                self._start(kind, number, event)
            case {"action": "stop", "id": int(number)}:
                self._stop(number)
            case {"action": "result", "type": int(kind), "id": int(number), "fields": [str(text)]}:
                if kind in (_LOG_LINE, _POST_BUILD_LINE):
                    self._log(number, text)
            case {"action": "msg", "level": int(level), "msg": str(message)}:
                if self._running and "raw_msg" not in event:
                    self._doubtful_message(level, message)
                else:
                    self._message(level, message)
            case _:
                pass

    @property
    def building(self) -> tuple[str, ...]:
        """The store paths of the derivations that are being built."""
        return tuple(dict.fromkeys(self._running.values()))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Store paths that no binary cache has, as Nix listed them at its start."""
        return tuple(self._unknown)

    def built(self, derivation: str) -> bool:
        """Return whether the builder of the derivation was started."""
        return derivation in self._started

    @property
    def reason(self) -> str:
        """The error that Nix printed first, without the log lines that it repeats."""
        causes = [error for error in self._errors if not _CONSEQUENCE.search(error)]
        return _REPEATED.split((causes or self._errors or [""])[0].removeprefix("error: "))[0]

    def log(self, derivation: str) -> tuple[str, ...]:
        """Return the last lines of a derivation's log."""
        found = self._logs.get(derivation)
        return found.read() if found else ()

    def _start(self, kind: int, number: int, event: dict[str, object]) -> None:
        match kind, event.get("fields"):
            case (int(k), [str(derivation), *_]) if k == _BUILD:
                self._running[number] = derivation
                self._started.add(derivation)
                self._logs[derivation] = LastLines(_LINES, _LINE_LIMIT)
                self._report(f"building {derivation}")
            case (int(k), [str(path), str(cache), *_]) if k == _SUBSTITUTE:
                self.fetches.start(number, path, cache)
                self._report(f"fetching {path} from {cache}")
            case _:
                pass

    def _stop(self, number: int) -> None:
        self.fetches.stop(number)
        derivation = self._running.pop(number, "")
        if derivation in self._logs and derivation != self.failed:
            # Nix may report the failure after the end, but not much later.
            self._finished.append(derivation)
            if len(self._finished) > _FINISHED:
                self._logs.pop(self._finished.popleft(), None)

    def _message(self, level: int, message: str) -> None:
        cleaned = one_line(message, _MESSAGE_LIMIT)
        if level in (_ERROR, _WARNING):
            self.fetches.note(cleaned)
        if level == _WARNING:
            self._report(message)
        elif level == _ERROR and cleaned:
            self._error(cleaned)
        elif _UNKNOWN.match(cleaned):
            self._listing = True
        elif self._listing and cleaned.startswith("/nix/store/"):
            self._unknown.append(cleaned)
        elif level > _WARNING:
            self._listing = False

    def _doubtful_message(self, level: int, message: str) -> None:
        """Take what a builder may have written; Nix's own downloads in builders report so too."""
        if level in (_ERROR, _WARNING):
            self.fetches.note_of_builder(one_line(message, _MESSAGE_LIMIT))
            self._report(message)

    def _error(self, error: str) -> None:
        """Keep the first errors: later ones are consequences."""
        if len(self._errors) >= _ERRORS:
            return
        self._errors.append(error)
        found = _DERIVATION.search(error)
        if not self.failed and found and not _CONSEQUENCE.search(error):
            self.failed = found[0]

    def _log(self, number: int, text: str) -> None:
        derivation = self._running.get(number)
        if derivation is None:
            return
        self._logs[derivation].add(text)
        self._on_line(f"{_short(derivation)}> {text}")

    def _report(self, text: str) -> None:
        if text and not text.isspace():
            self._on_line(text)


@lru_cache(maxsize=128)
def _short(derivation: str) -> str:
    try:
        return StorePath.parse(derivation).name.removesuffix(".drv")
    except ValueError:
        return derivation
