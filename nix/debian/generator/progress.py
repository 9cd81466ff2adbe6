"""Progress and messages on standard error."""

import sys
import time


class Progress:
    """A counter: one changing line on a terminal, else a line every few seconds."""

    QUIET_SECONDS = 5.0

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._shown = 0.0

    def step(self, done: int, detail: str = "") -> None:
        now = time.monotonic()
        line = f"  {self._what} {done}/{self._total} {detail}".rstrip()
        if sys.stderr.isatty():
            end = "\n" if done >= self._total else ""
            print(f"\r{line:<78.78}", end=end, file=sys.stderr, flush=True)
        elif done >= self._total or now - self._shown >= self.QUIET_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self._shown = now


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
