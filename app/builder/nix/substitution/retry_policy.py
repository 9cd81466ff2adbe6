"""How long, and how often, the downloads of one image are tried."""

import threading
import time
from collections.abc import Callable

from app.system.retrying import Retries


class RetryPolicy:
    """How long the downloads of one image may take: ``seconds`` from the first one's start.

    ``on_retry`` is called in any thread.
    """

    def __init__(
        self, *, retries: Retries, seconds: float, on_retry: Callable[[str], None]
    ) -> None:
        self.retries = retries
        self.on_retry = on_retry
        self._seconds = seconds
        self._starting = threading.Lock()
        self._end: float | None = None

    @property
    def end(self) -> float:
        """A time of the monotonic clock, which is set by the first call."""
        with self._starting:
            if self._end is None:
                self._end = time.monotonic() + self._seconds
            return self._end
