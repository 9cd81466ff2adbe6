"""Many small downloads, with retries, and one open connection for each thread."""

import random
import threading

from app.builder.nix.binary_cache.transfer import (
    Transfer,
    TransferFailed,
    TransferOptions,
    TransferStopped,
    shown,
)
from app.errors import OperatorError
from app.system.blocking import blocking

# Separate from the global generator, whose sequence others may depend on.
_SPREAD = random.Random()  # noqa: S311  spread, not secret
ATTEMPTS = 6
FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0
# Statuses of a missing path.  As in Nix also 403, which a bucket without permission to list sends.
NOT_THERE = frozenset({403, 404, 410})


class FetchFailed(OperatorError):
    """The message is one line with the URL and the reason."""


class FetchStopped(Exception):
    """The event that ends all downloads was set."""


class Fetcher:
    """Shared by threads, each with a connection of its own, which it closes itself."""

    def __init__(self, stop: threading.Event, options: TransferOptions | None = None) -> None:
        self._stop = stop
        self._options = options or TransferOptions()
        self._own = threading.local()

    @blocking
    def get(self, url: str, size_limit: int) -> bytes | None:
        """Return the body, or None if there is none (403, 404, 410).

        Transient faults are retried.  Raises FetchFailed, FetchStopped.
        """
        problem = ""
        pause: float | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(_delay(attempt) if pause is None else pause)
            if self._stop.is_set():
                raise FetchStopped
            try:
                return self.get_once(url, size_limit)
            except TransferStopped:
                raise FetchStopped from None
            except TransferFailed as error:
                problem = str(error)
                if not error.transient:
                    break
                pause = error.retry_after and min(error.retry_after, LONGEST_DELAY)
        raise FetchFailed(f"{shown(url)}: {problem}")

    @blocking
    def get_once(self, url: str, size_limit: int, seconds: float = 0) -> bytes | None:
        """Make one attempt, which ends after ``seconds`` unless they are 0.

        Raises TransferFailed, TransferStopped.
        """
        body = bytearray()

        def take(part: bytes, _: int) -> bool:
            body.extend(part)
            return len(body) <= size_limit

        try:
            self.transfer().get(url, take, seconds=seconds)
        except TransferFailed as error:
            if error.status in NOT_THERE:
                return None
            raise
        if len(body) > size_limit:
            raise TransferFailed(f"more than {size_limit} bytes", transient=False)
        return bytes(body)

    def transfer(self) -> Transfer:
        """Return this thread's connection."""
        own: Transfer | None = self._own.__dict__.get("transfer")
        if own is None:
            own = self._own.__dict__["transfer"] = Transfer(self._options, self._stop)
        return own

    def close(self) -> None:
        """Close this thread's connection."""
        own: Transfer | None = self._own.__dict__.pop("transfer", None)
        if own is not None:
            own.close()

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise FetchStopped


def _delay(attempt: int) -> float:
    """Return a pause that doubles each time, and differs between threads."""
    longest = min(FIRST_DELAY * 2.0 ** (attempt - 1), LONGEST_DELAY)
    return longest * (0.5 + _SPREAD.random() / 2)
