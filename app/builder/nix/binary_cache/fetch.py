"""Many small downloads, with retries, and one open connection for each thread."""

import random
import threading
from itertools import count
from math import inf

from app.builder.nix.binary_cache.exchange import (
    TransferFailed,
    TransferOptions,
    TransferStopped,
    shown,
)
from app.builder.nix.binary_cache.small_file import SmallFile
from app.builder.nix.binary_cache.transfer import Transfer
from app.errors import OperatorError
from app.system.blocking import blocking
from app.system.retrying import Retries

# Separate from the global generator, whose sequence others may depend on.
_SPREAD = random.Random()  # noqa: S311  spread, not secret
RETRIES = Retries(times=5, seconds=inf, pause_seconds=0.5)


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
        for failures in count(1):
            if self._stop.is_set():
                raise FetchStopped
            try:
                return self._get_once(url, size_limit)
            except TransferStopped:
                raise FetchStopped from None
            except TransferFailed as error:
                pause = RETRIES.pause(failures, error.retry_after)
                if not error.transient or pause is None:
                    raise FetchFailed(f"{shown(url)}: {error}") from None
                self._wait(pause if error.retry_after is not None else _spread(pause))
        raise AssertionError("the last attempt returns or raises")

    def _get_once(self, url: str, size_limit: int) -> bytes | None:
        """Return the body; None without such a file.  Raises TransferFailed, TransferStopped."""
        own: Transfer | None = self._own.__dict__.get("transfer")
        if own is None:
            own = self._own.__dict__["transfer"] = Transfer(self._options, self._stop)
        file = SmallFile(size_limit)
        with file.received():
            own.get(url, file.take)
        return file.body

    def close(self) -> None:
        """Close this thread's connection."""
        own: Transfer | None = self._own.__dict__.pop("transfer", None)
        if own is not None:
            own.close()

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise FetchStopped


def _spread(pause: float) -> float:
    """Return a shorter pause that differs between threads."""
    return pause * (0.5 + _SPREAD.random() / 2)
